import { join } from 'node:path'
import type { Config } from '../config/schema.ts'
import { StartError } from './directory/start-error.ts'

/** Turns what made a start fail into a StartError if the operator can correct it; returns anything else as it is */
export function explainStart(err: unknown, config: Config): unknown {
  const message = explain(err as NodeJS.ErrnoException & { address?: string; port?: number }, config)
  return message === undefined ? err : new StartError(message, { cause: err })
}

function explain(
  { name, code, message, cause, address, port }: NodeJS.ErrnoException & { address?: string; port?: number },
  config: Config,
): string | undefined {
  switch (name) {
    case 'AccessFileError':
    case 'AuditLogError':
    case 'CertificateError':
    case 'ListenError':
    case 'NetworkConfigError':
    case 'PackageError':
      return message
  }
  switch (code) {
    case 'INDEX_LOCKED':
      return `data directory ${config.dataDir} is in use by another ipdr server`
    case 'INDEX_DAMAGED':
      return (
        `the index of data directory ${config.dataDir} is damaged: ${message}; ` +
        `delete ${join(config.dataDir, 'index')}, start again and run "ipdr fsck --rebuild"`
      )
    case 'EADDRINUSE':
      return `port ${port} on ${address} is in use`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `can't listen on ${config.host}: ${message}`
    case 'LEVEL_DATABASE_NOT_OPEN':
      return `data directory ${config.dataDir} can't be opened: ${(cause as Error | undefined)?.message ?? message}`
    case 'EACCES':
      return port === undefined
        ? `no permission to write to data directory ${config.dataDir}`
        : `no permission to listen on port ${port}`
    case 'EROFS':
      return `data directory ${config.dataDir} is read-only`
  }
  return undefined
}
