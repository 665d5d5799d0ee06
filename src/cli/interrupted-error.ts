/** A signal ended the command */
export class InterruptedError extends Error {
  static readonly name = 'InterruptedError'
  readonly name = 'InterruptedError'
  readonly expected = true
  readonly exitCode: number

  constructor(exitCode: number) {
    super('interrupted')
    this.exitCode = exitCode
  }
}
