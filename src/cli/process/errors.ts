/** A command that ends with one line on standard error and no stack */
export abstract class CommandError extends Error {
  abstract readonly exitCode: number
  /** Tells `reportError` to print the message alone */
  readonly expected = true
  /** What to try instead */
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

/** The command line cannot be understood */
export class UsageError extends CommandError {
  static readonly name = 'UsageError'
  readonly name = 'UsageError'
  readonly exitCode = 1
}

/** The answer to a question is no */
export class DeniedError extends CommandError {
  static readonly name = 'DeniedError'
  readonly name = 'DeniedError'
  readonly exitCode = 1
}

/** SIGINT or SIGTERM ended the command */
export class InterruptedError extends CommandError {
  static readonly name = 'InterruptedError'
  readonly name = 'InterruptedError'
  readonly exitCode: number

  constructor(exitCode: number) {
    super('interrupted')
    this.exitCode = exitCode
  }
}
