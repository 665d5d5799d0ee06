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

/** The audit log can't be written to, so the server does not start: what it did could not be told */
export class AuditLogError extends Error {
  static readonly name = 'AuditLogError'
  readonly name = 'AuditLogError'

  constructor(path: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException
    super(`audit log ${path} can't be written to: ${code ?? message}`, { cause })
  }
}

/** Nobody has this name, or no repository can have that one */
export class AccessQuestionError extends Error {
  static readonly name = 'AccessQuestionError'
  readonly name = 'AccessQuestionError'
  /** What is not there */
  readonly what: 'user' | 'key' | 'issuer' | 'repository'

  constructor(message: string, what: AccessQuestionError['what']) {
    super(message)
    this.what = what
  }
}
