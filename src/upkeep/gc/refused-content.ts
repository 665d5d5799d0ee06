import { isRefused } from '../../ipfs/errors.ts'
import type { Logger } from '../../log.ts'

/** Characters of a CID in the log */
const maxShown = 100

/**
 * Logs that a DAG is refused: nobody can read it, and it must not keep the rest from being collected. Throws any other
 * error.
 */
export function logRefused(log: Logger, message: string, root: string, err: unknown): undefined {
  ignoreRefused(err)
  log.warn(message, { cid: root.slice(0, maxShown), reason: (err as Error).message })
}

/** Throws any error but that of a refused DAG */
export function ignoreRefused(err: unknown): undefined {
  if (!isRefused(err)) {
    throw err
  }
}
