export interface Problem {
  /** From 1 */
  line: number
  /** From 1 */
  column: number
  message: string
}

/** A file with rules or passwords that can't be used; its message names every problem with line and column */
export class AccessFileError extends Error {
  static readonly name = 'AccessFileError'
  readonly name = 'AccessFileError'
  /** Whoever wrote the file can mend it */
  readonly expected = true
  /** A line each */
  readonly problems: readonly string[]

  constructor(file: string, problems: readonly Problem[]) {
    const lines = problems.map(({ line, column, message }) => `${file}, line ${line}, column ${column}: ${message}`)
    super(lines.join('; '))
    this.problems = lines
  }
}
