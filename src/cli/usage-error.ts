/** The command line cannot be understood; `hint` says what to try instead */
export class UsageError extends Error {
  static readonly name = 'UsageError'
  readonly name = 'UsageError'
  /** Printed without a stack */
  readonly expected = true
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}
