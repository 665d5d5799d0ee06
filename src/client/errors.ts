/** Names that a message lists */
const maxListed = 20

/** A failure that the user can do something about: the command prints its message in one line, without a stack */
export class ClientError extends Error {
  static readonly name = 'ClientError'
  readonly name = 'ClientError'
  readonly expected = true
  /** What to try instead */
  readonly hint: string | undefined

  constructor(message: string, options: ErrorOptions & { hint?: string } = {}) {
    super(message, options)
    this.hint = options.hint
  }
}

/** A server answered, but with an error */
export class ResponseError extends ClientError {
  readonly status: number
  /** The error code of the distribution API, if the answer has one */
  readonly code: string | undefined

  constructor(message: string, { status, code }: { status: number; code?: string | undefined }) {
    super(
      message,
      code === 'STORAGE_FULL'
        ? { hint: 'The server has no space left: delete images, then run ipdr gc --grace 5m' }
        : {},
    )
    this.status = status
    this.code = code
  }
}

/** Names in a message that says what there is instead of what was wanted; a long list is cut */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, maxListed)
  const more = names.length > maxListed ? [`and ${names.length - maxListed} more`] : []
  return [...shown, ...more].join(', ') || 'nothing'
}
