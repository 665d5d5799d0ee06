import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { ByteRange } from '../oci/range.ts'
import type { Page } from '../oci/pagination.ts'
import type { Reference } from '../oci/reference.ts'

export interface RequestOptions {
  signal?: AbortSignal | undefined
  /** Address of whoever asks, for what one client may ask for at a time */
  client?: string | undefined
}

export interface LookUpOptions extends RequestOptions {
  /** Whether what has lost blocks counts as unknown: to a client that looks whether it has to push */
  whole?: boolean | undefined
}

export interface Blob {
  digest: Digest
  /** Bytes */
  size: number
  cid: string
  read: (options?: RequestOptions & Partial<ByteRange>) => AsyncIterable<Uint8Array>
}

export interface StoredManifest {
  digest: Digest
  mediaType: string
  /** Bytes */
  size: number
  /** CID of the image root */
  root: string
  /** The bytes exactly as they were pushed */
  read: (options?: RequestOptions) => Promise<Uint8Array>
}

export interface PutManifest {
  reference: Reference
  bytes: Uint8Array
  /** Media type of the request, without parameters */
  contentType: string | undefined
  /** Tags that are set together with the manifest */
  tags: readonly string[]
}

/** One page of a listing */
export interface Listing<T> {
  items: T[]
  /** Whether there is more after the last item */
  more: boolean
}

/**
 * A repository as the HTTP API sees it. Reading throws OciError BLOB_UNKNOWN, MANIFEST_UNKNOWN or NAME_UNKNOWN where a thing is not there.
 */
export interface Repository {
  readonly name: string
  blob: (digest: Digest, options?: LookUpOptions) => Promise<Blob>
  manifest: (reference: Reference, options?: LookUpOptions) => Promise<StoredManifest>
  tags: (page: Page, options?: RequestOptions) => Promise<Listing<string>>
  /** Descriptors of the manifests whose subject is `subject`; empty where there is none */
  referrers: (subject: Digest, page: Page, artifactType?: string) => Promise<Listing<Descriptor>>

  /** @throws OciError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN, DIGEST_INVALID or STORAGE_FULL; nothing is changed then */
  putManifest: (manifest: PutManifest) => Promise<{ manifest: StoredManifest; subject: Digest | undefined }>
  /** Deletes a tag, or a manifest with the tags that point at it */
  deleteManifest: (reference: Reference) => Promise<void>
  deleteBlob: (digest: Digest) => Promise<void>
  /**
   * Makes a blob of this registry available here, without a copy
   *
   * @param from the repository that has it; undefined: any
   * @returns whether there was such a blob
   */
  mountBlob: (digest: Digest, from: string | undefined) => Promise<boolean>
  /** @throws OciError DENIED where nothing can be pushed here */
  requireWritable: () => void
}
