import type { ContentStore } from '../../ipfs/content-store.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { ManifestLimits } from '../../oci/manifest/manifest-limits.ts'
import type { Page } from '../../oci/pagination.ts'
import type { Reference } from '../../oci/reference.ts'
import type { UnreadableFiles } from '../unreadable-files.ts'
import { translateErrors } from '../errors.ts'
import type { LinkGuard } from '../link-guard.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import { takePage } from '../listing.ts'
import { readDescriptor, type Referrer } from '../referrer.ts'
import { readContent, readWhole } from '../read-content.ts'
import type {
  Blob,
  Listing,
  LookUpOptions,
  PutManifest,
  Repository,
  RequestOptions,
  StoredManifest,
  StoredRepository,
} from '../repository.ts'
import { ManifestWriter, type ManifestWriterComponents } from './manifest-writer.ts'
import { isLargeManifest, readLargePushedManifest, readPushedManifest } from './pushed-manifest.ts'

/** A page of referrers is sent as an image index, and clients refuse one that is larger than a manifest may be */
const maxReferrersBytes = 4 * 1024 * 1024 - 1024

export interface LocalRepositoryComponents extends ManifestWriterComponents {
  content: ContentStore
  links: LinkGuard
  unreadable: Pick<UnreadableFiles, 'has' | 'note'>
  /** What is here only to be undone; @default nothing is */
  withheld?: Pick<HistoryIndex, 'isBlobWithheld'> | undefined
  /** Bytes of manifests that were read lately, by their CID */
  hotManifests: { get: (cid: string) => Uint8Array | undefined; set: (cid: string, bytes: Uint8Array) => void }
}

export interface LocalRepositoryInit {
  name: string
  /** Whether a manifest is accepted although blobs that it needs are missing */
  acceptMissingBlobs: boolean
  manifestLimits?: ManifestLimits | undefined
  /** Whose doing its changes are, where callers are told apart */
  by?: string | undefined
  /** The message about a manifest that is not here; @default that of the code */
  unknown?: string | undefined
}

/** A repository of this registry */
export class LocalRepository implements StoredRepository {
  readonly name: string
  readonly #components: LocalRepositoryComponents
  readonly #manifestLimits: ManifestLimits | undefined
  readonly #by: string | undefined
  readonly #unknown: { message?: string }
  readonly #writer: ManifestWriter

  constructor(components: LocalRepositoryComponents, init: LocalRepositoryInit) {
    this.name = init.name
    this.#components = components
    this.#manifestLimits = init.manifestLimits
    this.#by = init.by
    this.#unknown = init.unknown === undefined ? {} : { message: init.unknown }
    this.#writer = new ManifestWriter(components, {
      repository: init.name,
      by: init.by,
      acceptMissingBlobs: init.acceptMissingBlobs,
    })
  }

  async blob(digest: Digest, { whole = false }: LookUpOptions = {}): Promise<Blob & { cid: string }> {
    const { content, index, links, unreadable } = this.#components
    await links.ask(this.name, digest)
    const [isLinked, record] = await Promise.all([index.isLinked(this.name, digest), index.blob(digest)])
    if (!isLinked || record === undefined) {
      throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
    }
    const { cid, size } = record
    if (whole && (await unreadable.has(cid))) {
      throw new OciError('BLOB_UNKNOWN', {
        detail: { digest, reason: 'a block of it is missing or damaged: push it again' },
      })
    }
    const onDamage = (): void => {
      unreadable.note(cid)
    }
    return {
      digest,
      size,
      cid,
      source: 'disk',
      read: options => readContent(content, record, { ...options, onDamage }),
    }
  }

  async manifest(reference: Reference, { whole = false }: LookUpOptions = {}): Promise<StoredManifest> {
    const { index, unreadable } = this.#components
    const digest = reference.digest ?? (await index.tag(this.name, reference.tag))?.digest
    const record = digest === undefined ? undefined : await index.manifest(this.name, digest)
    if (digest === undefined || record === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { ...this.#unknown, detail: { name: this.name, ...reference } })
    }
    if (whole && (await unreadable.has(record.cid))) {
      throw new OciError('MANIFEST_UNKNOWN', {
        detail: { name: this.name, ...reference, reason: 'its block is missing or damaged: push it again' },
      })
    }
    return this.#stored(digest, record)
  }

  async tags(page: Page): Promise<Listing<string>> {
    const { index } = this.#components
    if (!(await index.hasRepository(this.name)) && !(await index.hasLinks(this.name))) {
      throw new OciError('NAME_UNKNOWN', { detail: { name: this.name } })
    }
    const { items, more } = await takePage(page, page => index.tags(this.name, page))
    return { items: items.map(({ tag }) => tag), more }
  }

  async referrers(subject: Digest, page: Page, artifactType?: string): Promise<Listing<Referrer>> {
    return await takePage(page, ({ last }) => this.#referrers(subject, last, artifactType), {
      maxBytes: maxReferrersBytes,
      bytes: ({ json }) => json.byteLength + 1,
    })
  }

  async putManifest(put: PutManifest): ReturnType<Repository['putManifest']> {
    // without an await, a small manifest takes the lock at once: puts take effect in the order in which they came
    const pushed = isLargeManifest(put)
      ? await readLargePushedManifest(put, this.#manifestLimits)
      : readPushedManifest(put, this.#manifestLimits)
    const { tag } = put.reference
    return await this.#locked(async () => {
      const record = await this.#writer.put(pushed, tag === undefined ? put.tags : [tag, ...put.tags], put)
      return { manifest: this.#stored(pushed.digest, record), subject: pushed.manifest.subject?.digest }
    })
  }

  async deleteManifest(...[{ digest, tag }, options]: Parameters<Repository['deleteManifest']>): Promise<void> {
    await this.#locked(async () => {
      await (tag === undefined ? this.#writer.delete(digest, options) : this.#writer.deleteTag(tag, options))
    })
  }

  async deleteBlob(digest: Digest): Promise<void> {
    const { history, immutable, index } = this.#components
    await this.#locked(async () => {
      if (!(await index.isLinked(this.name, digest))) {
        throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
      }
      await immutable?.requireUnneeded(this.name, digest)
      const change = index.change().deleteLink(this.name, digest)
      await history?.record(change, this.name, { action: 'delete', by: this.#by, unlinked: [digest] })
      await change.commit({ durable: true })
    })
  }

  async mountBlob(digest: Digest, from: string | undefined): Promise<boolean> {
    const { content, index, links, quotas, unreadable, withheld } = this.#components
    return await this.#locked(
      async () =>
        await links.add(digest, async () => {
          // looked up under the lock of the blob, so that it can't be deleted before it has its new link
          const record = await index.blob(digest)
          if (
            record === undefined ||
            (await unreadable.has(record.cid)) ||
            (await withheld?.isBlobWithheld(digest)) === true ||
            (from !== undefined && !(await index.isLinked(from, digest)))
          ) {
            return false
          }
          using room = await quotas?.reserveBlob(this.name, digest, record.size)
          // blocks that came from a peer may not be durable yet
          await content.sync()
          await index.change().putLink(this.name, digest).commit({ durable: true })
          room?.used()
          return true
        }),
    )
  }

  requireWritable(): void {}

  async *#referrers(
    subject: Digest,
    last: string | undefined,
    artifactType: string | undefined,
  ): AsyncGenerator<Referrer> {
    const slice = new TimeSlice()
    for await (const referrer of this.#components.index.referrers(this.name, subject, { limit: -1, last })) {
      await slice.pause()
      if (artifactType === undefined || readDescriptor(referrer).artifactType === artifactType) {
        yield referrer
      }
    }
  }

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    return await this.#components.links.repositories.run(this.name, async () => await translateErrors(work))
  }

  #stored(digest: Digest, { cid, deprecated, mediaType, root, size }: ManifestRecord): StoredManifest {
    return {
      digest,
      mediaType,
      size,
      root,
      deprecated,
      read: async options => await this.#readManifest({ cid, size }, options),
    }
  }

  async #readManifest(file: { cid: string; size: number }, options: RequestOptions | undefined): Promise<Uint8Array> {
    const { content, hotManifests, unreadable } = this.#components
    const hot = hotManifests.get(file.cid)
    if (hot !== undefined) {
      return hot
    }
    const onDamage = (): void => {
      unreadable.note(file.cid)
    }
    const bytes = await readWhole(content, file, { ...options, onDamage })
    hotManifests.set(file.cid, bytes)
    return bytes
  }
}
