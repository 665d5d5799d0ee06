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

/** What to do about an error code of the distribution API */
const hints = new Map([
  ['STORAGE_FULL', 'The server has no space left: delete images, then run ipdr gc --grace 5m'],
  ['UNAUTHORIZED', 'A log-in is stored by ipdr login or docker login.'],
])

/** A server answered, but with an error */
export class ResponseError extends ClientError {
  readonly status: number
  /** The error code of the distribution API, if the answer has one */
  readonly code: string | undefined

  constructor(message: string, { status, code }: { status: number; code?: string | undefined }) {
    const hint = code === undefined ? undefined : hints.get(code)
    super(message, hint === undefined ? {} : { hint })
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
