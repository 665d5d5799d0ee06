import { createHash } from 'node:crypto'
import type { ContentStore } from '../../ipfs/content-store.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import type { Index, IndexChange, ManifestRecord } from '../../index/index.ts'
import { algorithmOf, digestFrom, type Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { parseManifest, parseManifestInSteps, type Manifest } from '../../oci/manifest.ts'
import type { ManifestLimits } from '../../oci/manifest-limits.ts'
import type { Page } from '../../oci/pagination.ts'
import type { Reference } from '../../oci/reference.ts'
import type { UnreadableFiles } from '../unreadable-files.ts'
import { translateErrors } from '../errors.ts'
import { addImageRoot } from '../image/image-root.ts'
import { deleteManifests } from '../delete-manifests.ts'
import type { LinkGuard } from '../link-guard.ts'
import { takePage } from '../listing.ts'
import { manifestRecord, referrerDescriptor } from '../manifest-record.ts'
import type { RootProvider } from '../root-provider.ts'
import { readContent, readWhole } from '../read-content.ts'
import type { TagListener } from '../tags/tag-listener.ts'
import { tagsOf } from '../tags/tag-roots.ts'
import type {
  Blob,
  Listing,
  LookUpOptions,
  PutManifest,
  Repository,
  RequestOptions,
  StoredManifest,
} from '../repository.ts'

/** Smaller ones are read in a millisecond or two */
const largeManifestBytes = 256 * 1024
/** A page of referrers is an image index, which clients refuse where it is as large as no manifest may be */
const maxReferrersBytes = 4 * 1024 * 1024 - 1024

export interface LocalRepositoryComponents {
  content: ContentStore
  index: Index
  links: LinkGuard
  unreadable: Pick<UnreadableFiles, 'has' | 'note'>
  /** Is told of each image root that is complete here */
  provider?: RootProvider | undefined
  /** Has each image root pinned elsewhere */
  pinner?: { pin: (root: string) => void } | undefined
  tagListener?: TagListener | undefined
  /** Bytes of manifests by their CID */
  hotManifests: { get: (cid: string) => Uint8Array | undefined; set: (cid: string, bytes: Uint8Array) => void }
}

export interface LocalRepositoryInit {
  name: string
  /** Whether a manifest is kept although blobs that it refers to are missing */
  acceptMissingBlobs: boolean
  manifestLimits?: ManifestLimits | undefined
}

/** A repository of this registry */
export class LocalRepository implements Repository {
  readonly name: string
  readonly #components: LocalRepositoryComponents
  readonly #acceptMissingBlobs: boolean
  readonly #manifestLimits: ManifestLimits | undefined

  constructor(components: LocalRepositoryComponents, init: LocalRepositoryInit) {
    this.name = init.name
    this.#components = components
    this.#acceptMissingBlobs = init.acceptMissingBlobs
    this.#manifestLimits = init.manifestLimits
  }

  async blob(digest: Digest, { whole = false }: LookUpOptions = {}): Promise<Blob> {
    const { content, index, links, unreadable } = this.#components
    await links.ask(this.name, digest)
    const [linked, record] = await Promise.all([index.isLinked(this.name, digest), index.blob(digest)])
    if (!linked || record === undefined) {
      throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
    }
    const { cid, size } = record
    if (whole && (await unreadable.has(cid))) {
      throw new OciError('BLOB_UNKNOWN', {
        detail: { digest, reason: 'a block of it is missing or damaged: push it again' },
      })
    }
    return {
      digest,
      size,
      cid,
      read: options =>
        readContent(content, record, {
          ...options,
          onDamage: () => {
            unreadable.note(cid)
          },
        }),
    }
  }

  async manifest(reference: Reference, { whole = false }: LookUpOptions = {}): Promise<StoredManifest> {
    const digest = reference.digest ?? (await this.#components.index.tag(this.name, reference.tag))?.digest
    const record = digest === undefined ? undefined : await this.#components.index.manifest(this.name, digest)
    if (digest === undefined || record === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.name, ...reference } })
    }
    if (whole && (await this.#components.unreadable.has(record.cid))) {
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

  async referrers(subject: Digest, page: Page, artifactType?: string): Promise<Listing<Descriptor>> {
    return await takePage(page, ({ last }) => this.#referrers(subject, last, artifactType), {
      maxBytes: maxReferrersBytes,
      bytes: descriptor => Buffer.byteLength(JSON.stringify(descriptor)) + 1,
    })
  }

  async putManifest({
    reference,
    bytes,
    contentType,
    tags,
  }: PutManifest): Promise<{ manifest: StoredManifest; subject: Digest | undefined }> {
    if (bytes.byteLength > largeManifestBytes) {
      return await this.#putLarge({ reference, bytes, contentType, tags })
    }
    const digest = digestOf(bytes, reference)
    return await this.#put(digest, parseManifest(bytes, contentType, this.#manifestLimits), { reference, bytes, tags })
  }

  /** Of 4 MiB, the digest and the parsing take some ten milliseconds each, and so does what comes before and after */
  async #putLarge({ reference, bytes, contentType, tags }: PutManifest): ReturnType<Repository['putManifest']> {
    const slice = new TimeSlice()
    await slice.end()
    const digest = digestOf(bytes, reference)
    await slice.end()
    const manifest = await parseManifestInSteps(bytes, contentType, this.#manifestLimits, async () => {
      await slice.end()
    })
    await slice.end()
    return await this.#put(digest, manifest, { reference, bytes, tags })
  }

  async #put(
    digest: Digest,
    manifest: Manifest,
    { reference, bytes, tags }: Omit<PutManifest, 'contentType'>,
  ): ReturnType<Repository['putManifest']> {
    return await this.#locked(async () => {
      await this.#requireBlobs(manifest)
      const record = await this.#addManifest(digest, manifest, bytes)
      await this.#components.content.sync()
      await this.#index(digest, record, manifest, reference.tag === undefined ? tags : [reference.tag, ...tags])
      this.#components.provider?.provide(record.root)
      this.#components.pinner?.pin(record.root)
      return { manifest: this.#stored(digest, record), subject: manifest.subject?.digest }
    })
  }

  async deleteManifest(reference: Reference): Promise<void> {
    const { index } = this.#components
    await this.#locked(async () => {
      if (reference.tag !== undefined) {
        await this.#requireTag(reference.tag)
        const change = index.change().deleteTag(this.name, reference.tag)
        await this.#untag(change, reference.tag, new Date().toISOString())
        await change.commit({ durable: true })
        this.#components.tagListener?.tagged(this.name, reference.tag)
        return
      }
      const { digest } = reference
      const record = await index.manifest(this.name, digest)
      if (record === undefined) {
        throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.name, digest } })
      }
      await this.#unindex(digest, record)
    })
  }

  async deleteBlob(digest: Digest): Promise<void> {
    const { index } = this.#components
    await this.#locked(async () => {
      if (!(await index.isLinked(this.name, digest))) {
        throw new OciError('BLOB_UNKNOWN', { detail: { digest } })
      }
      await index.change().deleteLink(this.name, digest).commit({ durable: true })
    })
  }

  async mountBlob(digest: Digest, from: string | undefined): Promise<boolean> {
    const { content, index, links, unreadable } = this.#components
    return await this.#locked(
      async () =>
        await links.add(digest, async () => {
          // looked for here, where it can't go away before it has its new link
          const record = await index.blob(digest)
          if (
            record === undefined ||
            (await unreadable.has(record.cid)) ||
            (from !== undefined && !(await index.isLinked(from, digest)))
          ) {
            return false
          }
          // a blob that came from a peer may be on disk without its names
          await content.sync()
          await index.change().putLink(this.name, digest).commit({ durable: true })
          return true
        }),
    )
  }

  async *#referrers(
    subject: Digest,
    last: string | undefined,
    artifactType: string | undefined,
  ): AsyncGenerator<Descriptor> {
    for await (const descriptor of this.#components.index.referrers(this.name, subject, { limit: -1, last })) {
      if (artifactType === undefined || descriptor.artifactType === artifactType) {
        yield descriptor
      }
    }
  }

  requireWritable(): void {}

  async #locked<T>(work: () => Promise<T>): Promise<T> {
    return await this.#components.links.repositories.run(this.name, async () => await translateErrors(work))
  }

  async #requireTag(tag: string): Promise<void> {
    if ((await this.#components.index.tag(this.name, tag)) === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.name, tag } })
    }
  }

  /** @throws OciError MANIFEST_BLOB_UNKNOWN, its detail naming every blob that is not there */
  async #requireBlobs({ blobs, kind }: Manifest): Promise<void> {
    if (this.#acceptMissingBlobs) {
      return
    }
    const { index } = this.#components
    const missing: Digest[] = []
    const slice = new TimeSlice()
    for (const digest of new Set(blobs.map(({ digest }) => digest))) {
      await slice.pause()
      // what an index lists under a media type that nobody knows may have been pushed as a manifest
      if (
        !(await index.isLinked(this.name, digest)) &&
        (kind !== 'index' || (await index.manifest(this.name, digest)) === undefined)
      ) {
        missing.push(digest)
      }
    }
    if (missing.length > 0) {
      throw new OciError('MANIFEST_BLOB_UNKNOWN', { detail: { digests: missing } })
    }
  }

  async #addManifest(digest: Digest, manifest: Manifest, bytes: Uint8Array): Promise<ManifestRecord> {
    const record = manifestRecord(manifest, await this.#components.content.add(bytes))
    return { ...record, root: await addImageRoot(this.#components, this.name, { digest, ...record }) }
  }

  async #index(digest: Digest, record: ManifestRecord, manifest: Manifest, tags: readonly string[]): Promise<void> {
    const { index } = this.#components
    const updated = new Date().toISOString()
    const before = await index.manifest(this.name, digest)
    const change = index
      .change()
      .putRepository(this.name)
      .putManifest(this.name, digest, { ...record, updated })
    for (const tag of tags) {
      await this.#untag(change, tag, updated, digest)
      change.putTag(this.name, tag, { digest, updated })
    }
    if (manifest.subject !== undefined) {
      change.putReferrer(
        this.name,
        manifest.subject.digest,
        referrerDescriptor(manifest, { digest, size: record.size }),
      )
    }
    await change.commit({ durable: true })
    // who knows a tag by its root has to hear of another one, as of an index whose platforms came later
    const told =
      before === undefined || before.root === record.root
        ? tags
        : new Set([...tags, ...(await tagsOf(index, this.name, digest))])
    told.forEach(tag => this.#components.tagListener?.tagged(this.name, tag))
  }

  /** A manifest that loses a tag counts as new: it may have none left, and its time without begins now */
  async #untag(change: IndexChange, tag: string, updated: string, next?: Digest): Promise<void> {
    const { index } = this.#components
    const digest = (await index.tag(this.name, tag))?.digest
    const record = digest === undefined || digest === next ? undefined : await index.manifest(this.name, digest)
    if (digest !== undefined && record !== undefined) {
      change.putManifest(this.name, digest, { ...record, updated })
    }
  }

  async #unindex(digest: Digest, record: ManifestRecord): Promise<void> {
    const { change, tags } = await deleteManifests(this.#components.index, this.name, new Map([[digest, record]]))
    await change.commit({ durable: true })
    tags.forEach(tag => this.#components.tagListener?.tagged(this.name, tag))
  }

  #stored(digest: Digest, { mediaType, size, root, cid }: ManifestRecord): StoredManifest {
    return {
      digest,
      mediaType,
      size,
      root,
      read: async options => await this.#readManifest({ cid, size }, options),
    }
  }

  async #readManifest(file: { cid: string; size: number }, options: RequestOptions | undefined): Promise<Uint8Array> {
    const { content, hotManifests, unreadable } = this.#components
    const hot = hotManifests.get(file.cid)
    if (hot !== undefined) {
      return hot
    }
    const bytes = await readWhole(content, file, {
      ...options,
      onDamage: () => {
        unreadable.note(file.cid)
      },
    })
    hotManifests.set(file.cid, bytes)
    return bytes
  }
}

/**
 * The digest of a manifest: with the algorithm of the digest that it is pushed by, else sha256
 *
 * @throws OciError DIGEST_INVALID where it is pushed by another digest
 */
function digestOf(bytes: Uint8Array, reference: Reference): Digest {
  const algorithm = reference.digest === undefined ? 'sha256' : algorithmOf(reference.digest)
  const digest = digestFrom(algorithm, createHash(algorithm).update(bytes).digest('hex'))
  if (reference.digest !== undefined && reference.digest !== digest) {
    throw new OciError('DIGEST_INVALID', { detail: { digest: reference.digest, actual: digest } })
  }
  return digest
}
