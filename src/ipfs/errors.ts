/** The file system that holds the blocks has no room left, or less than is kept free */
export class StorageFullError extends Error {
  static readonly name = 'StorageFullError'
  readonly name = 'StorageFullError'

  constructor (message = 'No space left on the file system of the blockstore', options?: ErrorOptions) {
    super(message, options)
  }
}

/** A block does not hold what its CID or its parent says */
export class DamagedBlockError extends Error {
  static readonly name = 'DamagedBlockError'
  readonly name = 'DamagedBlockError'

  constructor (message = 'A block is damaged', options?: ErrorOptions) {
    super(message, options)
  }
}

/** Nobody delivered what was asked for in time: no peer, no gateway, no DNS server */
export class UnavailableError extends Error {
  static readonly name = 'UnavailableError'
  readonly name = 'UnavailableError'

  constructor (message = 'Not delivered in time', options?: ErrorOptions) {
    super(message, options)
  }
}
