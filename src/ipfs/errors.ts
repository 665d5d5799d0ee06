/** What of the storage is full, in bytes */
export interface StorageFullDetail {
  /** What the limit is called */
  limit: 'storage.maxBytes' | 'storage.minFree' | 'file system'
  reason: string
  maxBytes?: number
  /** Of all blocks */
  used?: number
  minFree?: number
  /** Of the file system */
  free?: number
  wanted?: number
}

/** There is no room for a block: the storage has a limit, or its file system has less free than is to stay so */
export class StorageFullError extends Error {
  static readonly name = 'StorageFullError'
  readonly name = 'StorageFullError'
  readonly detail: StorageFullDetail | undefined

  constructor(detail?: StorageFullDetail, options?: ErrorOptions) {
    super(`No space left for blocks${detail === undefined ? '' : `: ${detail.reason}`}`, options)
    this.detail = detail
  }
}

/** A blob for which there would be no room even if it were the only one */
export class BlobTooLargeError extends Error {
  static readonly name = 'BlobTooLargeError'
  readonly name = 'BlobTooLargeError'
  readonly detail: { limit: 'storage.maxBytes' | 'file system'; maxBytes: number; bytes: number }

  constructor(detail: BlobTooLargeError['detail']) {
    super(`A blob of ${detail.bytes} bytes or more, where ${detail.maxBytes} fit in`)
    this.detail = detail
  }
}

/** A block does not hold what its CID or its parent says */
export class DamagedBlockError extends Error {
  static readonly name = 'DamagedBlockError'
  readonly name = 'DamagedBlockError'

  constructor(message = 'A block is damaged', options?: ErrorOptions) {
    super(message, options)
  }
}

/**
 * A DAG is not what anybody has to walk: it has more than `dagLimits` in dag/decode-node.ts, or does not hold what it says. Its blocks are as they
 * were made, so there is nothing to repair.
 */
export class RefusedDagError extends Error {
  static readonly name = 'RefusedDagError'
  readonly name = 'RefusedDagError'
}

/** A file can't be stored, as nobody would read it again: it repeats itself more than `dagLimits` in dag/decode-node.ts has it */
export class RepetitiveFileError extends Error {
  static readonly name = 'RepetitiveFileError'
  readonly name = 'RepetitiveFileError'
}

/** Nobody delivered what was asked for in time: no peer, no gateway, no DNS server */
export class UnavailableError extends Error {
  static readonly name = 'UnavailableError'
  readonly name = 'UnavailableError'

  constructor(message = 'Not delivered in time', options?: ErrorOptions) {
    super(message, options)
  }
}

const missingOrDamaged = new Set(['NotFoundError', 'DamagedBlockError'])

/** Whether a block is missing (not here) or damaged (its bytes do not match its CID): either can be repaired */
export function isMissingOrDamaged(err: unknown): boolean {
  return missingOrDamaged.has((err as Error | undefined)?.name ?? '')
}

/** Whether a DAG is refused: it is over a limit or malformed, and no repair changes that */
export function isRefused(err: unknown): boolean {
  return (err as Error | undefined)?.name === 'RefusedDagError'
}

/** Whether content cannot be read from here, as it is missing, damaged or refused; any other error is a failure of the system */
export function isUnreadable(err: unknown): boolean {
  return isMissingOrDamaged(err) || isRefused(err)
}
