/** The store is open in another process */
export class LockedError extends Error {
  static readonly name = 'LockedError'
  readonly name = 'LockedError'

  constructor(message = 'The index is in use by another process', options?: ErrorOptions) {
    super(message, options)
  }
}

/** The file system that holds the index has no room left, or less than is kept free */
export class StorageFullError extends Error {
  static readonly name = 'StorageFullError'
  readonly name = 'StorageFullError'

  readonly detail: { limit: 'file system'; reason: string } = {
    limit: 'file system',
    reason: 'too little is free for the index',
  }

  constructor(message = 'No space left on the file system of the index', options?: ErrorOptions) {
    super(message, options)
  }
}

/** Files of the store are missing or not what they should be */
export class DamagedIndexError extends Error {
  static readonly name = 'DamagedIndexError'
  readonly name = 'DamagedIndexError'

  constructor(message = 'The index is damaged', options?: ErrorOptions) {
    super(message, options)
  }
}

/** Why a store did not open, by the code of Level's error */
export function openError(err: unknown): unknown {
  const { code, message } = ((err as Error).cause ?? {}) as { code?: string; message?: string }
  switch (code) {
    case 'LEVEL_LOCKED':
      return new LockedError(undefined, { cause: err })
    case 'LEVEL_CORRUPTION':
      return new DamagedIndexError(message, { cause: err })
    default:
      return err
  }
}
