import type { CID } from 'multiformats/cid'
import { blockKeys } from '../../ipfs/blocks/block-keys.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { TagChange } from '../../index/history-index.ts'
import type { Index, ManifestRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Manifest } from '../../oci/manifest/manifest.ts'
import { deleteManifests, deleteTag, eventsOfDeletion, noteUntagged } from '../delete-manifests.ts'
import { commitTelling, type EventOrigin, type EventSink, type NewEvent } from '../event-sink.ts'
import type { History } from '../history.ts'
import type { Quotas } from '../quotas/quotas.ts'
import { gatherImage, storeImageRoot, type ImageParts } from '../image/image-root.ts'
import type { ImmutableTags } from '../policies/immutable-tags.ts'
import { manifestRecord, referencesIn, referrerDescriptor } from '../manifest-record.ts'
import type { DeleteManifestOptions, PutManifest } from '../repository.ts'
import type { RootProvider } from '../root-provider.ts'
import type { TagListener } from '../tags/tag-listener.ts'
import { tagsOf } from '../tags/tag-roots.ts'
import type { PushedManifest } from './pushed-manifest.ts'

export interface ManifestWriterComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'sync'>
  index: Index
  /** Provides each image root that is complete here */
  provider?: RootProvider | undefined
  /** Has each image root pinned by remote services; returns at once */
  pinner?: { pin: (root: string) => void } | undefined
  tagListener?: TagListener | undefined
  /** Undefined where nobody can hear of events */
  events?: Pick<EventSink, 'commit'> | undefined
  /** @default there are none */
  quotas?: Pick<Quotas, 'reserveBlob' | 'reserveManifest'> | undefined
  /** Remembers what can be undone; undefined: nothing can */
  history?: History | undefined
  /** @default no tag is immutable */
  immutable?: Pick<ImmutableTags, 'requireMutable' | 'requireUnneeded'> | undefined
}

export interface ManifestWriterInit {
  repository: string
  /** Whose doing the changes are, where callers are told apart */
  by?: string | undefined
  /** Whether a manifest is accepted although blobs that it needs are missing */
  acceptMissingBlobs: boolean
}

/** A manifest whose bytes and image root are stored, on its way into the index */
interface StoredManifest {
  digest: Digest
  manifest: Manifest
  record: ManifestRecord
  /** Those of its bytes and of its image root, as {@link blockKeys} writes them */
  blocks: Uint8Array
}

/** Puts and deletes the manifests and tags of a repository. The caller holds the lock of the repository. */
export class ManifestWriter {
  readonly #components: ManifestWriterComponents
  readonly #repository: string
  readonly #by: string | undefined
  readonly #acceptMissingBlobs: boolean

  constructor(components: ManifestWriterComponents, init: ManifestWriterInit) {
    this.#components = components
    this.#repository = init.repository
    this.#by = init.by
    this.#acceptMissingBlobs = init.acceptMissingBlobs
  }

  /**
   * Stores a manifest and its image root, and sets tags; everything is durable when it resolves
   *
   * @param options.onMove is told of each tag that points at another manifest, and may throw
   * @throws OciError MANIFEST_BLOB_UNKNOWN, its detail naming all missing blobs; DENIED where a tag is immutable and
   *   points at another manifest, or by a quota; nothing has been stored then
   */
  async put(
    { bytes, digest, manifest }: PushedManifest,
    tags: readonly string[],
    { onMove, origin }: Pick<PutManifest, 'onMove' | 'origin'> = {},
  ): Promise<ManifestRecord> {
    const { content, index, pinner, provider, quotas } = this.#components
    await this.#tellOfMoves(digest, tags, onMove)
    using room = await quotas?.reserveManifest(this.#repository, { digest, size: bytes.byteLength, tags })
    const references = referencesIn(manifest)
    const parts = await gatherImage(index, this.#repository, { digest, ...references })
    if (!this.#acceptMissingBlobs) {
      requireBlobs(manifest, parts)
    }
    const blocks: CID[] = []
    const noting = {
      onBlock: (cid: CID): void => {
        blocks.push(cid)
      },
    }
    const own = manifestRecord(manifest, await content.add(bytes, noting), references)
    const root = await storeImageRoot(content, { digest, ...own }, parts, undefined, noting)
    const record = { ...own, root }
    await content.sync()
    await this.#index({ digest, record, manifest, blocks: blockKeys(blocks) }, tags, origin)
    room?.used()
    provider?.provide(record.root)
    parts.blobs.forEach(({ size }, digest) => {
      provider?.provideBlob({ digest, size })
    })
    pinner?.pin(record.root)
    return record
  }

  /** @throws OciError MANIFEST_UNKNOWN; DENIED where it is immutable */
  async deleteTag(tag: string, { origin }: DeleteManifestOptions = {}): Promise<void> {
    const { events, history, immutable, index } = this.#components
    const before = await index.tag(this.#repository, tag)
    if (before === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.#repository, tag } })
    }
    immutable?.requireMutable(this.#repository, tag)
    const change = index.change()
    await deleteTag({ change, index, repository: this.#repository }, tag, new Date().toISOString())
    await history?.record(change, this.#repository, { action: 'delete', by: this.#by, tags: [{ tag, before }] })
    await commitTelling(events, change, () => [
      { kind: 'delete', repository: this.#repository, tag, digest: before.digest, origin },
    ])
    this.#tell([tag])
  }

  /**
   * Deletes a manifest with the tags that point at it
   *
   * @throws OciError MANIFEST_UNKNOWN; DENIED where an immutable tag needs it
   */
  async delete(digest: Digest, { onUntag, origin }: DeleteManifestOptions = {}): Promise<void> {
    const { events, history, immutable, index } = this.#components
    const record = await index.manifest(this.#repository, digest)
    if (record === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.#repository, digest } })
    }
    await immutable?.requireUnneeded(this.#repository, digest)
    const remembering = history && { history, action: 'delete' as const, by: this.#by }
    const deletion = await deleteManifests(index, this.#repository, new Map([[digest, record]]), remembering)
    for (const tag of deletion.tags.keys()) {
      onUntag?.(tag)
    }
    await commitTelling(events, deletion.change, () => eventsOfDeletion(this.#repository, deletion, { origin }))
    this.#tell(deletion.tags.keys())
  }

  async #index(
    { blocks, digest, manifest, record }: StoredManifest,
    tags: readonly string[],
    origin: EventOrigin | undefined,
  ): Promise<void> {
    const { events, history, index } = this.#components
    const updated = new Date().toISOString()
    const before = await index.manifest(this.#repository, digest)
    const change = index
      .change()
      .putRepository(this.#repository)
      .putManifest(this.#repository, digest, { ...record, updated })
      .putManifestBlocks(this.#repository, digest, blocks)
    const moved = new Map<string, Digest>()
    const changed: TagChange[] = []
    for (const tag of new Set(tags)) {
      changed.push({ tag, before: await index.tag(this.#repository, tag), after: { digest, updated } })
      const previous = await noteUntagged({ change, index, repository: this.#repository }, tag, updated, digest)
      if (previous !== undefined) {
        moved.set(tag, previous)
      }
      change.putTag(this.#repository, tag, { digest, updated })
    }
    if (manifest.subject !== undefined) {
      const descriptor = referrerDescriptor(manifest, { digest, size: record.size })
      change.putReferrer(this.#repository, manifest.subject.digest, descriptor)
    }
    // the root of an index changes when more of its platforms have come: then other tags of the manifest lead to a new
    // root, too
    const hasNewRoot = before !== undefined && before.root !== record.root
    if (history !== undefined) {
      const known = hasNewRoot ? await history.kept(this.#repository, digest, before) : undefined
      const manifests = before === undefined || hasNewRoot ? [{ digest, before: known, after: record.root }] : []
      await history.record(change, this.#repository, { action: 'push', by: this.#by, tags: changed, manifests })
    }
    const told = { repository: this.#repository, digest, origin }
    await commitTelling(events, change, () => eventsOfPush({ ...told, ...kept(record) }, tags, moved))
    this.#tell(hasNewRoot ? new Set([...tags, ...(await tagsOf(index, this.#repository, digest))]) : tags)
  }

  async #tellOfMoves(digest: Digest, tags: readonly string[], onMove: PutManifest['onMove']): Promise<void> {
    const { immutable, index } = this.#components
    for (const tag of onMove === undefined && immutable === undefined ? [] : tags) {
      const before = await index.tag(this.#repository, tag)
      if (before !== undefined && before.digest !== digest) {
        onMove?.(tag)
        immutable?.requireMutable(this.#repository, tag)
      }
    }
  }

  #tell(tags: Iterable<string>): void {
    for (const tag of tags) {
      this.#components.tagListener?.tagged(this.#repository, tag)
    }
  }
}

/** One event for each tag, and one more for each that was moved; one without a tag where there is none */
function eventsOfPush(
  pushed: Omit<NewEvent, 'kind'>,
  tags: readonly string[],
  moved: ReadonlyMap<string, Digest>,
): NewEvent[] {
  return (tags.length === 0 ? [undefined] : [...new Set(tags)]).flatMap(tag => {
    const previous = tag === undefined ? undefined : moved.get(tag)
    return [
      { ...pushed, kind: 'push' as const, tag },
      ...(previous === undefined ? [] : [{ ...pushed, kind: 'tag' as const, tag, previous }]),
    ]
  })
}

function kept({ mediaType, root, size }: ManifestRecord): Pick<NewEvent, 'cid' | 'mediaType' | 'size'> {
  return { cid: root, mediaType, size }
}

/** @throws OciError MANIFEST_BLOB_UNKNOWN */
function requireBlobs({ blobs, kind }: Manifest, parts: ImageParts): void {
  // an index may list a manifest under a media type that is not a manifest's
  const isHere = (digest: Digest): boolean =>
    parts.blobs.has(digest) || (kind === 'index' && parts.manifests.has(digest))
  const missing = new Set(blobs.map(({ digest }) => digest).filter(digest => !isHere(digest)))
  if (missing.size > 0) {
    throw new OciError('MANIFEST_BLOB_UNKNOWN', { detail: { digests: [...missing] } })
  }
}
