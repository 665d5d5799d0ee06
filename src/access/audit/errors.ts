/** The audit log can't be written to, so the server does not start: what it did could not be told */
export class AuditLogError extends Error {
  static readonly name = 'AuditLogError'
  readonly name = 'AuditLogError'

  constructor(path: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException
    super(`audit log ${path} can't be written to: ${code ?? message}`, { cause })
  }
}
