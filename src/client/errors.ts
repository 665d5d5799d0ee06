/** What a command could not do, for a reason that its user can mend: told in one line, without a stack */
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

/** A server answered, but not with what was asked for */
export class ResponseError extends ClientError {
  readonly status: number
  /** An error code of the distribution API, where the answer has one */
  readonly code: string | undefined

  constructor(message: string, { status, code }: { status: number; code?: string | undefined }) {
    super(
      message,
      code === 'STORAGE_FULL' ? { hint: 'There is no room there: delete images, then run ipdr gc --grace 5m' } : {},
    )
    this.status = status
    this.code = code
  }
}
