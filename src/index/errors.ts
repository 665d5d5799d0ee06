export type IndexErrorCode = 'INDEX_LOCKED' | 'INDEX_DAMAGED' | 'INDEX_FULL'

const messages: Record<IndexErrorCode, string> = {
  INDEX_LOCKED: 'The index is in use by another process',
  INDEX_DAMAGED: 'The index is damaged',
  INDEX_FULL: 'No space left on the file system of the index',
}

/** The one error that the index throws by itself; `code` tells why */
export class IndexError extends Error {
  static readonly name = 'IndexError'
  readonly name = 'IndexError'
  readonly code: IndexErrorCode

  constructor(code: IndexErrorCode, options: ErrorOptions & { message?: string | undefined } = {}) {
    super(options.message ?? messages[code], options)
    this.code = code
  }
}

/** Translates what LevelDB throws when a store is opened; anything else stays as it is */
export function translateOpenError(err: unknown): unknown {
  const { code, message } = ((err as Error).cause ?? {}) as { code?: string; message?: string }
  switch (code) {
    case 'LEVEL_LOCKED':
      return new IndexError('INDEX_LOCKED', { cause: err })
    case 'LEVEL_CORRUPTION':
      return new IndexError('INDEX_DAMAGED', { message, cause: err })
    default:
      return err
  }
}
