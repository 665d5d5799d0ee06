/**
 * `src/index` is what the registry knows about its content: which blob has which CID, which repository may serve it,
 * tags, referrers, open uploads. It holds no content itself. It imports only `src/oci`, and other folders see it
 * through the interfaces in this file and in `history-index.ts` alone.
 *
 * - `index.ts` (begin here): the interfaces `Index`, `IndexChange` and `IndexSnapshot`, and the records
 * - `events.ts`: events, and which of them wait for a webhook; `pulls.ts`: when manifests were last pulled
 * - `keys.ts`: the whole key space, drawn in one comment
 * - `level-index.ts`, `level-index-change.ts`, `level-snapshot.ts`, `level-scan.ts`: the index in a LevelDB
 * - `index-writer.ts`: the queue of all writes, and what happens after a failed one
 * - `block-owners.ts`, `block-lists.ts`: which repositories a block belongs to, looked up and written
 * - `history-index.ts`, `level-history.ts`, `history-operations.ts`: the changes that can be undone
 * - `record-cache.ts`: records in memory; `json-value.ts`: the form of a value; `errors.ts`: why the index fails
 */
import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { Page } from '../oci/pagination.ts'
import type { EventChange, EventIndex } from './events.ts'
import type { PullChange, PullIndex } from './pulls.ts'
import type { ChangeRecord } from './history-index.ts'

/** Where the bytes of a blob are */
export interface BlobRecord {
  /** Root of the UnixFS file */
  cid: string
  /** Bytes */
  size: number
  /** Bytes of all blocks of the DAG together */
  dagSize: number
}

export interface ManifestRecord {
  mediaType: string
  /** Bytes */
  size: number
  /** CID of the manifest's own bytes */
  cid: string
  /** Bytes of all blocks of the DAG below `cid` */
  dagSize: number
  /** CID of the image root: a directory of everything that the manifest refers to */
  root: string
  /** Everything that the manifest names; the image root holds those that the repository has */
  blobs: Digest[]
  manifests: Digest[]
  subject?: Digest | undefined
  /** What clients are told who pull it, as its annotation says */
  deprecated?: string | undefined
  /** When the manifest was pushed, or a tag was last taken from it; ISO 8601. Absent in records of older versions. */
  updated?: string | undefined
}

/** Allows a repository to serve a blob */
export interface LinkRecord {
  /** When the link was made; ISO 8601. Absent in records of older versions. */
  updated?: string | undefined
}

/** An image of another node, whose blocks are kept here as long as there is room */
export interface CachedRecord {
  /** When a client last asked for it, give or take ten minutes; ISO 8601 */
  used: string
}

export interface TagRecord {
  digest: Digest
  /** ISO 8601 */
  updated: string
}

/** The directory of all tags that was published last. Its blocks are not garbage. */
export interface PublishedRecord {
  /** CIDv1 in base32 */
  root: string
}

/** Is told what has changed, once it is written; returns at once, and never throws */
export interface IndexListener {
  /** @param record undefined: there is no such tag any more */
  tag: (repository: string, tag: string, record: TagRecord | undefined) => void
  /** @param isThere whether the repository has a manifest */
  repository: (repository: string, isThere: boolean) => void
}

/** Whether the index knows everything that it should */
export interface ConditionRecord {
  /** `lost`: the index was deleted and has not been rebuilt yet; `restoring`: it has only a part of a backup so far */
  state: 'whole' | 'lost' | 'restoring'
  /** ISO 8601 */
  since: string
  /**
   * 2: manifest records list everything that the manifests name. Absent: some were written by older versions, which
   * left out descriptors that they did not know.
   */
  records?: 2 | undefined
  /** 1: the index knows which blocks each blob and manifest has. Absent: not of those that older versions wrote. */
  owners?: 1 | undefined
}

/**
 * The state of an open upload, from which it goes on after a restart. The CIDs of its leaves are stored under keys of
 * their own.
 */
export interface UploadRecord {
  repository: string
  /** Who began it, where callers are told apart */
  owner?: string | undefined
  algorithm: DigestAlgorithm
  /** Bytes in the full leaves and the tail */
  size: number
  /** CID of a leaf that is not full yet */
  tail?: string | undefined
  /** ISO 8601 */
  started: string
  updated: string
}

/**
 * A blob on its way here from another registry, which goes on from here after a restart. The hashes of its leaves are
 * stored under keys of their own.
 */
export interface FetchRecord {
  digest: Digest
  /** Bytes of the whole blob, as whoever asked for it first knew it */
  size: number
  /** Those that asked for it, and will have it */
  repositories: readonly string[]
  /** Whether it was under way, and goes on by itself after a restart */
  active: boolean
  /** ISO 8601 */
  updated: string
}

/** A manifest of another registry, which is kept here while there is room */
export interface MirroredRecord {
  /** When a client last asked for it, give or take ten minutes; ISO 8601 */
  used: string
}

/** A tag of another registry */
export interface MirroredTagRecord {
  /** When the other registry last told to what it points; ISO 8601 */
  checked: string
}

/**
 * What the registry knows, in a sorted key-value store. A listing is a range scan that starts where its page starts.
 */
export interface Index extends EventIndex, PullIndex {
  blob: (digest: Digest) => Promise<BlobRecord | undefined>
  blobs: () => AsyncIterable<{ digest: Digest; record: BlobRecord }>
  /** Whether the repository may serve the blob */
  isLinked: (repository: string, digest: Digest) => Promise<boolean>
  link: (repository: string, digest: Digest) => Promise<LinkRecord | undefined>
  /** The links of all repositories, one repository after the other */
  links: () => AsyncIterable<{ repository: string; digest: Digest; record: LinkRecord }>
  manifest: (repository: string, digest: Digest) => Promise<ManifestRecord | undefined>
  manifests: (repository: string) => AsyncIterable<{ digest: Digest; record: ManifestRecord }>
  tag: (repository: string, tag: string) => Promise<TagRecord | undefined>
  tags: (repository: string, page: Page) => AsyncIterable<{ tag: string; record: TagRecord }>
  /** Whether the repository may serve at least one blob */
  hasLinks: (repository: string) => Promise<boolean>
  /** Whether the repository has a manifest */
  hasRepository: (repository: string) => Promise<boolean>
  repositories: (page: Page) => AsyncIterable<string>
  /** The manifests that name `subject`, sorted by digest, with their descriptors as JSON */
  referrers: (repository: string, subject: Digest, page: Page) => AsyncIterable<{ digest: Digest; json: Uint8Array }>
  upload: (id: string) => Promise<UploadRecord | undefined>
  uploadLeaves: (id: string) => Promise<string[]>
  uploads: () => AsyncIterable<{ id: string; record: UploadRecord }>
  fetch: (id: string) => Promise<FetchRecord | undefined>
  /** SHA-256 of the leaves that were saved, in pieces: one after the other from a position on, zeros where one lacks */
  fetchLeaves: (id: string) => AsyncIterable<{ position: number; hashes: Uint8Array }>
  fetches: () => AsyncIterable<{ id: string; record: FetchRecord }>
  mirrored: (repository: string, digest: Digest) => Promise<MirroredRecord | undefined>
  mirroredTag: (repository: string, tag: string) => Promise<MirroredTagRecord | undefined>
  published: () => Promise<PublishedRecord | undefined>
  /** Undefined in a new index and in one of an older version */
  condition: () => Promise<ConditionRecord | undefined>
  /** Whether the index has no record of any kind */
  isEmpty: () => Promise<boolean>
  /** Images of other nodes */
  cached: () => AsyncIterable<{ root: string; record: CachedRecord }>
  /** Whether the index knows which blocks a blob has */
  hasBlobBlocks: (digest: Digest) => Promise<boolean>
  /** Whether the index knows which blocks a manifest and its image root have */
  hasManifestBlocks: (repository: string, digest: Digest) => Promise<boolean>
  /**
   * Whether a block belongs to a repository: it is a part of a blob that the repository links, of one of its manifests,
   * or of the directories and small files of an image root. Looks up what is known, and walks nothing.
   *
   * @param hash digest of the block's multihash
   * @param isMeant asked about each repository until one is meant; often about the same one again
   */
  isOwned: (
    hash: Uint8Array,
    isMeant: (repository: string) => boolean,
    options?: { signal?: AbortSignal | undefined },
  ) => Promise<boolean>
  /** The same for a blob that a repository links, by its digest */
  isBlobOwned: (digest: Digest, isMeant: (repository: string) => boolean) => Promise<boolean>
  /**
   * Manifests of which a block is a part, or of the directories and small files of their image roots
   *
   * @param hash digest of the block's multihash
   */
  manifestsWith: (hash: Uint8Array) => AsyncIterable<{ repository: string; digest: Digest }>
  /** Takes a snapshot, which the caller disposes of */
  snapshot: () => IndexSnapshot
  /** Gathers changes that take effect together */
  change: () => IndexChange
  /** Tells one listener of changes from now on; undefined: nobody any more */
  listen: (listener: IndexListener | undefined) => void
}

/** The index as it was at one moment */
export interface IndexSnapshot extends AsyncDisposable {
  repositories: () => AsyncIterable<string>
  manifests: (repository: string) => AsyncIterable<{ digest: Digest; record: ManifestRecord }>
  tags: (repository: string) => AsyncIterable<{ tag: string; record: TagRecord }>
  /** Blobs that the repository may serve */
  blobs: (repository: string) => AsyncIterable<{ digest: Digest; record: BlobRecord }>
}

export interface IndexChange extends EventChange<IndexChange>, PullChange<IndexChange> {
  /** Where its CID is another one than before, its blocks are not known until {@link putBlobBlocks} */
  putBlob: (digest: Digest, record: BlobRecord) => this
  /** Forgets its blocks too */
  deleteBlob: (digest: Digest) => this
  /**
   * Records which blocks the DAG of a blob has
   *
   * @param blocks the first 16 bytes of the hash of each, one after the other
   */
  putBlobBlocks: (digest: Digest, blocks: Uint8Array) => this
  /** Records the time of the call as the time of the link */
  putLink: (repository: string, digest: Digest) => this
  /** Has a link that is there found by its blob, as {@link putLink} does by itself */
  putLinked: (repository: string, digest: Digest) => this
  deleteLink: (repository: string, digest: Digest) => this
  /** Where its image root is another one than before, its blocks are not known until {@link putManifestBlocks} */
  putManifest: (repository: string, digest: Digest, record: ManifestRecord) => this
  /** Forgets its blocks and its last pull too */
  deleteManifest: (repository: string, digest: Digest) => this
  /**
   * Records which blocks a manifest has: those of its bytes, and those of its image root that are in no file that it
   * names
   *
   * @param blocks as for {@link putBlobBlocks}
   */
  putManifestBlocks: (repository: string, digest: Digest, blocks: Uint8Array) => this
  putTag: (repository: string, tag: string, record: TagRecord) => this
  deleteTag: (repository: string, tag: string) => this
  putReferrer: (repository: string, subject: Digest, descriptor: Descriptor) => this
  deleteReferrer: (repository: string, subject: Digest, digest: Digest) => this
  putRepository: (repository: string) => this
  deleteRepository: (repository: string) => this
  putPublished: (record: PublishedRecord) => this
  putCondition: (record: ConditionRecord) => this
  putCached: (root: string, record: CachedRecord) => this
  deleteCached: (root: string) => this
  putUpload: (id: string, record: UploadRecord) => this
  /** @param position of the first of these leaves among all leaves of the upload */
  putUploadLeaves: (id: string, position: number, leaves: string[]) => this
  /** Deletes the upload and the list of its leaves */
  deleteUpload: (id: string) => this
  putFetch: (id: string, record: FetchRecord) => this
  /** @param position of the first of these leaves; the same position replaces what was there */
  putFetchLeaves: (id: string, position: number, hashes: Uint8Array) => this
  /** Deletes the fetch and the hashes of its leaves */
  deleteFetch: (id: string) => this
  putMirrored: (repository: string, digest: Digest, record: MirroredRecord) => this
  deleteMirrored: (repository: string, digest: Digest) => this
  putMirroredTag: (repository: string, tag: string, record: MirroredTagRecord) => this
  deleteMirroredTag: (repository: string, tag: string) => this
  /** Remembers a change; the same number replaces what was remembered, but for what it keeps */
  putChange: (repository: string, state: number, record: ChangeRecord) => this
  /** @param record what is remembered of it */
  deleteChange: (repository: string, state: number, record: ChangeRecord) => this
  /**
   * Records the first state that is known
   *
   * @param since when it began; ISO 8601
   */
  putOldestState: (state: number, since?: string) => this
  /**
   * Makes all of the changes or none; with `durable`, they survive a power failure once it resolves
   *
   * @throws IndexError INDEX_FULL
   */
  commit: (options: { durable: boolean }) => Promise<void>
}
