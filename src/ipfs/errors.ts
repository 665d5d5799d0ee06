/** Which limit of the storage was reached; all numbers are bytes */
export interface StorageFullDetail {
  /** The setting, or `file system` where the disk itself is full */
  limit: 'storage.maxBytes' | 'storage.minFree' | 'file system'
  reason: string
  maxBytes?: number
  /** Bytes of all blocks */
  used?: number
  minFree?: number
  /** Bytes of the file system that are free */
  free?: number
  wanted?: number
}

/** There is no room for a block: it would exceed a limit of the storage, or take space that must stay free */
export class StorageFullError extends Error {
  static readonly name = 'StorageFullError'
  readonly name = 'StorageFullError'
  readonly detail: StorageFullDetail | undefined

  constructor(detail?: StorageFullDetail, options?: ErrorOptions) {
    super(`No space left for blocks${detail === undefined ? '' : `: ${detail.reason}`}`, options)
    this.detail = detail
  }
}

/** A blob that would not fit even into an empty storage */
export class BlobTooLargeError extends Error {
  static readonly name = 'BlobTooLargeError'
  readonly name = 'BlobTooLargeError'
  readonly detail: { limit: 'storage.maxBytes' | 'file system'; maxBytes: number; bytes: number }

  constructor(detail: BlobTooLargeError['detail']) {
    super(`The blob has ${detail.bytes} bytes or more, and the storage holds ${detail.maxBytes}`)
    this.detail = detail
  }
}

/** The bytes of a block do not match its CID, or the disk can't read them */
export class DamagedBlockError extends Error {
  static readonly name = 'DamagedBlockError'
  readonly name = 'DamagedBlockError'

  constructor(message = 'A block is damaged', options?: ErrorOptions) {
    super(message, options)
  }
}

/**
 * A DAG exceeds `dagLimits` (dag/dag-limits.ts) or is malformed. Its blocks match their CIDs: it was made like this, so
 * a repair would not change it.
 */
export class RefusedDagError extends Error {
  static readonly name = 'RefusedDagError'
  readonly name = 'RefusedDagError'
}

/** A file is not stored, because reading it would be refused: it repeats itself more often than `dagLimits` allow */
export class RepetitiveFileError extends Error {
  static readonly name = 'RepetitiveFileError'
  readonly name = 'RepetitiveFileError'
}

/** No peer, gateway or DNS server delivered what was asked for in time */
export class UnavailableError extends Error {
  static readonly name = 'UnavailableError'
  readonly name = 'UnavailableError'

  constructor(message = 'Not delivered in time', options?: ErrorOptions) {
    super(message, options)
  }
}

/** Whether a block is missing: it is not stored here */
export function isMissing(err: unknown): boolean {
  return (err as Error | undefined)?.name === 'NotFoundError'
}

/** Whether a block is damaged: its bytes do not match its CID */
export function isDamaged(err: unknown): boolean {
  return (err as Error | undefined)?.name === 'DamagedBlockError'
}

/** Whether a block is missing or damaged: either can be repaired */
export function isMissingOrDamaged(err: unknown): boolean {
  return isMissing(err) || isDamaged(err)
}

/** Whether a DAG is refused: it is over a limit or malformed, and no repair changes that */
export function isRefused(err: unknown): boolean {
  return (err as Error | undefined)?.name === 'RefusedDagError'
}

/**
 * Whether content cannot be read from here, as it is missing, damaged or refused; any other error is a failure of the
 * system
 */
export function isUnreadable(err: unknown): boolean {
  return isMissingOrDamaged(err) || isRefused(err)
}
