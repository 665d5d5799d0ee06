/** The configuration cannot be used; carries every problem at once, each with its key and where the value came from */
export class ConfigError extends Error {
  static readonly name = 'ConfigError'
  readonly name = 'ConfigError'
  /** Printed without a stack */
  readonly expected = true
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}
