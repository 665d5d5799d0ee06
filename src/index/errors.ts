/** The store is open in another process */
export class LockedError extends Error {
  static readonly name = 'LockedError'
  readonly name = 'LockedError'

  constructor (message = 'The index is in use by another process', options?: ErrorOptions) {
    super(message, options)
  }
}

/** The file system that holds the index has no room left, or less than is kept free */
export class StorageFullError extends Error {
  static readonly name = 'StorageFullError'
  readonly name = 'StorageFullError'

  constructor (message = 'No space left on the file system of the index', options?: ErrorOptions) {
    super(message, options)
  }
}
