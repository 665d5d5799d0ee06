import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { ManifestRecord, TagRecord } from './index.ts'

/** A manifest that a change took away, with all that is needed to bring it back */
export interface KeptManifest {
  record: ManifestRecord
  /** What the referrers API answered for it; absent where it has no subject */
  descriptor?: Descriptor | undefined
  /** Those of the digests that it names that the repository could serve */
  links: Digest[]
  /** Its blocks, as the index lists them for a manifest, in base64; absent where they were not known */
  blocks?: string | undefined
}

export interface TagChange {
  tag: string
  /** Absent: the tag was not there */
  before?: TagRecord | undefined
  /** Absent: the tag is not there */
  after?: TagRecord | undefined
}

export interface ManifestChange {
  digest: Digest
  /** Absent: the manifest was not there */
  before?: KeptManifest | undefined
  /** CID of its image root after the change; absent: the manifest is not there */
  after?: string | undefined
}

/** One change of a repository: what was before it and is after it */
export interface ChangeRecord {
  /** ISO 8601 */
  time: string
  /**
   * `gc`: untagged manifests were deleted; `retention`: what the rules let go was deleted; `forget`: what was before
   * this change is not known any more, nor is what the change was
   */
  action: 'push' | 'delete' | 'undo' | 'gc' | 'retention' | 'forget'
  /** Whose doing it was, where callers are told apart */
  by?: string | undefined
  tags: TagChange[]
  manifests: ManifestChange[]
  /** Blobs that the repository could serve before, and not after */
  unlinked: Digest[]
}

/** A change of one repository */
export interface RememberedChange {
  /** Number of the change, and of the state that it led to */
  state: number
  record: ChangeRecord
  /** Of the record */
  bytes: number
}

/** A change in the order of all changes */
export interface OrderedChange {
  /** Number of the change, and of the state that it led to */
  state: number
  repository: string
  /** ISO 8601 */
  time: string
  /** Of the record of the change */
  bytes: number
  /** Whether the change took a manifest or a blob away, which is kept */
  keeps: boolean
}

/** Of the changes, those with `after < state < before` */
export interface ChangeRange {
  after?: number | undefined
  before?: number | undefined
}

/** Reads the changes that the index remembers. They are numbered from 1 on, for all repositories together. */
export interface HistoryIndex {
  /** Number of the last change, whether it is remembered or not; 0 where there was none */
  last: () => Promise<number>
  /** The first state that is known; 0 where nothing has been forgotten for its age */
  oldest: () => Promise<number>
  /** When that state began; ISO 8601. Undefined where that is not known. */
  oldestSince: () => Promise<string | undefined>
  change: (repository: string, state: number) => Promise<ChangeRecord | undefined>
  /** The changes of one repository, the newest first */
  changesOf: (repository: string, range?: ChangeRange) => AsyncIterable<RememberedChange>
  /** The changes of all repositories */
  order: (range?: ChangeRange, newestFirst?: boolean) => AsyncIterable<OrderedChange>
  /** What the referrers API answers for one manifest */
  referrer: (repository: string, subject: Digest, digest: Digest) => Promise<Descriptor | undefined>
  /** The blocks of a manifest, as `putManifestBlocks` takes them */
  manifestBlocks: (repository: string, digest: Digest) => Promise<Uint8Array | undefined>
  /**
   * Whether a block is here only because a change took its manifest or blob away: nobody gets it. Answers at once where
   * no change did.
   *
   * @param hash digest of the block's multihash
   */
  isWithheld: (hash: Uint8Array) => boolean | Promise<boolean>
  /** Whether a change after a state took a blob away, or a manifest that names it */
  keepsBlob: (digest: Digest, after?: number) => Promise<boolean>
  /** As {@link isWithheld} for a blob, by its digest: no repository may serve it */
  isBlobWithheld: (digest: Digest) => boolean | Promise<boolean>
}
