import type { Digest } from '../../../oci/digest.ts'

/** Leaves of a blob that are wanted of a source; a leaf has 1 MiB, the last one of a blob may be shorter */
export interface FetchJob {
  digest: Digest
  /** Bytes of the whole blob */
  size: number
  /** The first leaf */
  from: number
  /** The leaf after the last one */
  to: number
  /** Aborted where nothing more is wanted */
  signal: AbortSignal
  /** Resolves when the leaf is stored; its bytes may be overwritten then. Several may be under way. */
  deliver: (leaf: number, bytes: Uint8Array) => Promise<void>
  /**
   * May be called while a leaf comes, with all that has come of it, so that clients get it at once. The bytes must stay
   * as they are until the leaf is delivered, or until it is called with undefined as the leaf will not be.
   */
  arriving?: ((leaf: number, bytes: Uint8Array | undefined) => void) | undefined
}

/** Delivers leaves of one blob; asked by a fetch */
export interface BlobSource {
  /** For messages, such as `docker.io` */
  readonly name: string
  /** The most jobs that it takes at a time */
  readonly maxJobs: number
  /**
   * Delivers leaves in order until it has delivered all, the signal aborts, or it throws; may deliver fewer
   *
   * @throws UpstreamError; OciError BLOB_UNKNOWN where it does not have the blob; what {@link FetchJob.deliver} throws
   */
  fetch: (job: FetchJob) => Promise<void>
}
