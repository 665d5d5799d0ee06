import type { Descriptor } from '../oci/manifest.ts'
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
  /** Whether the repository may serve the blob */
  isLinked: (repository: string, digest: Digest) => Promise<boolean>
  manifest: (repository: string, digest: Digest) => Promise<ManifestRecord | undefined>
  manifests: (repository: string) => AsyncIterable<{ digest: Digest, record: ManifestRecord }>
  tag: (repository: string, tag: string) => Promise<TagRecord | undefined>
  tags: (repository: string, page: Page) => AsyncIterable<{ tag: string, record: TagRecord }>
  /** Whether the repository holds a manifest */
  hasRepository: (repository: string) => Promise<boolean>
  repositories: (page: Page) => AsyncIterable<string>
  /** Descriptors of what names `subject`, sorted by digest */
  referrers: (repository: string, subject: Digest, page: Page) => AsyncIterable<Descriptor>
  upload: (id: string) => Promise<UploadRecord | undefined>
  uploadLeaves: (id: string) => Promise<string[]>
  uploads: () => AsyncIterable<{ id: string, record: UploadRecord }>
  published: () => Promise<PublishedRecord | undefined>
  /** Gathers changes that take effect together */
  change: () => IndexChange
}

export interface IndexChange {
  putBlob: (digest: Digest, record: BlobRecord) => this
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
