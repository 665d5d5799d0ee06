import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest, DigestAlgorithm } from '../oci/digest.ts'
import type { Page } from '../oci/pagination.ts'

/** Where the bytes of a digest are */
export interface BlobRecord {
  /** Root of the UnixFS file */
  cid: string
  /** Bytes */
  size: number
  /** Bytes of all blocks of the DAG */
  dagSize: number
}

export interface ManifestRecord {
  mediaType: string
  /** Bytes */
  size: number
  /** The manifest's own bytes */
  cid: string
  /** Bytes of the blocks below `cid` */
  dagSize: number
  /** The image root: a directory of everything that the manifest refers to */
  root: string
  /** What the image root holds beside the manifest itself */
  blobs: Digest[]
  manifests: Digest[]
  subject?: Digest | undefined
  /** When it was pushed, or lost a tag; ISO 8601. Absent in what older versions wrote. */
  updated?: string | undefined
}

/** That a repository may serve a blob */
export interface LinkRecord {
  /** When it was made; ISO 8601. Absent in what older versions wrote. */
  updated?: string | undefined
}

/** An image of other nodes, of which blocks are kept here as long as there is room */
export interface CachedRecord {
  /** When it was asked for last, give or take a few minutes; ISO 8601 */
  used: string
}

export interface TagRecord {
  digest: Digest
  /** ISO 8601 */
  updated: string
}

/** The directory of all tags that was published last: its blocks are in use */
export interface PublishedRecord {
  /** CIDv1 in base32 */
  root: string
}

/** Whether the index knows all that it should */
export interface ConditionRecord {
  /** `lost`: it was deleted, and what it knew before is not restored yet; `restoring`: it has a part of a backup */
  state: 'whole' | 'lost' | 'restoring'
  /** ISO 8601 */
  since: string
  /** 2: the records of manifests have all that these name. Absent: older versions wrote them, and left out what they knew nothing of. */
  records?: 2 | undefined
}

/** An upload that is open, as far as it can go on after a restart; its leaves lie beside it */
export interface UploadRecord {
  repository: string
  algorithm: DigestAlgorithm
  /** Bytes in the leaves and the tail */
  size: number
  tail?: string | undefined
  /** ISO 8601 */
  started: string
  updated: string
}

/**
 * What the registry knows: a sorted key-value store. Listings are range scans that start where the page starts.
 */
export interface Index {
  blob: (digest: Digest) => Promise<BlobRecord | undefined>
  blobs: () => AsyncIterable<{ digest: Digest; record: BlobRecord }>
  /** Whether the repository may serve the blob */
  isLinked: (repository: string, digest: Digest) => Promise<boolean>
  link: (repository: string, digest: Digest) => Promise<LinkRecord | undefined>
  /** Of all repositories, one after the other */
  links: () => AsyncIterable<{ repository: string; digest: Digest; record: LinkRecord }>
  manifest: (repository: string, digest: Digest) => Promise<ManifestRecord | undefined>
  manifests: (repository: string) => AsyncIterable<{ digest: Digest; record: ManifestRecord }>
  tag: (repository: string, tag: string) => Promise<TagRecord | undefined>
  tags: (repository: string, page: Page) => AsyncIterable<{ tag: string; record: TagRecord }>
  /** Whether the repository may serve any blob */
  hasLinks: (repository: string) => Promise<boolean>
  /** Whether the repository holds a manifest */
  hasRepository: (repository: string) => Promise<boolean>
  repositories: (page: Page) => AsyncIterable<string>
  /** Descriptors of what names `subject`, sorted by digest */
  referrers: (repository: string, subject: Digest, page: Page) => AsyncIterable<Descriptor>
  upload: (id: string) => Promise<UploadRecord | undefined>
  uploadLeaves: (id: string) => Promise<string[]>
  uploads: () => AsyncIterable<{ id: string; record: UploadRecord }>
  published: () => Promise<PublishedRecord | undefined>
  /** Undefined in a new index, and in one of an older version */
  condition: () => Promise<ConditionRecord | undefined>
  /** Whether there is no record of any kind */
  isEmpty: () => Promise<boolean>
  /** Roots of images of other nodes */
  cached: () => AsyncIterable<{ root: string; record: CachedRecord }>
  /** All as it is now; to be disposed of */
  snapshot: () => IndexSnapshot
  /** Gathers changes that take effect together */
  change: () => IndexChange
}

/** What the registry knew at one moment */
export interface IndexSnapshot extends AsyncDisposable {
  repositories: () => AsyncIterable<string>
  manifests: (repository: string) => AsyncIterable<{ digest: Digest; record: ManifestRecord }>
  tags: (repository: string) => AsyncIterable<{ tag: string; record: TagRecord }>
  /** Those that the repository may serve */
  blobs: (repository: string) => AsyncIterable<{ digest: Digest; record: BlobRecord }>
}

export interface IndexChange {
  putBlob: (digest: Digest, record: BlobRecord) => this
  deleteBlob: (digest: Digest) => this
  /** It gets the time of the call */
  putLink: (repository: string, digest: Digest) => this
  deleteLink: (repository: string, digest: Digest) => this
  putManifest: (repository: string, digest: Digest, record: ManifestRecord) => this
  deleteManifest: (repository: string, digest: Digest) => this
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
  /** @param position number of the first of these leaves within the upload */
  putUploadLeaves: (id: string, position: number, leaves: string[]) => this
  /** Deletes the upload and the list of its leaves */
  deleteUpload: (id: string) => this
  /**
   * All or nothing; synced to disk where `durable` is set
   *
   * @throws StorageFullError
   */
  commit: (options: { durable: boolean }) => Promise<void>
}
