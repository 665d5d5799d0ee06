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

/** A server answers against the rules, or refers to where nobody may go: asking it again would not help */
export class InvalidAnswerError extends ClientError {}

/** What to do about an error code of the distribution API */
const hints = new Map([
  ['STORAGE_FULL', 'The server has no space left: delete images, then run ipdr gc --grace 5m'],
  ['UNAUTHORIZED', 'A log-in is stored by ipdr login or docker login.'],
])

interface ResponseErrorInit {
  status: number
  code?: string | undefined
  retryAfter?: string | undefined
}

/** A server answered, but with an error */
export class ResponseError extends ClientError {
  readonly status: number
  /** The error code of the distribution API, if the answer has one */
  readonly code: string | undefined
  /** `Retry-After` of the answer */
  readonly retryAfter: string | undefined

  constructor(message: string, { status, code, retryAfter }: ResponseErrorInit) {
    const hint = code === undefined ? undefined : hints.get(code)
    super(message, hint === undefined ? {} : { hint })
    this.status = status
    this.code = code
    this.retryAfter = retryAfter
  }
}

/** An error and those that caused it, the outermost first */
export function withCauses(err: unknown): NodeJS.ErrnoException[] {
  return err instanceof Error ? [err, ...withCauses(err.cause)] : []
}

/** Names in a message that says what there is instead of what was wanted; a long list is cut */
export function listNames(names: readonly string[]): string {
  const shown = names.slice(0, maxListed)
  const more = names.length > maxListed ? [`and ${names.length - maxListed} more`] : []
  return [...shown, ...more].join(', ') || 'nothing'
}
