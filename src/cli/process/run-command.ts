import { OciError } from '../../oci/errors.ts'
import { ClientError } from '../../remote/errors.ts'
import type { CliContext } from './context.ts'
import { InterruptedError } from './errors.ts'
import { exitCodes, stopSignal } from './signals.ts'

/** Errors of other folders whose cause is what the user named, not this program */
const expectedNames = ['UnavailableError', 'DamagedBlockError', 'NotFoundError']

/**
 * Runs a command, and aborts it at the first SIGINT or SIGTERM
 *
 * @throws InterruptedError after a signal; ClientError instead of every error that the user can do something about
 */
export async function runCommand(context: CliContext, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  using stop = stopSignal(context.process)
  try {
    await work(stop.signal)
  } catch (err) {
    const reason = stop.signal.aborted ? (stop.signal.reason as keyof typeof exitCodes) : undefined
    throw reason === undefined ? explain(err) : new InterruptedError(exitCodes[reason])
  }
}

function explain(err: unknown): unknown {
  if (err instanceof OciError) {
    const detail = Object.entries(err.detail ?? {}).map(([key, value]) =>
      key === 'reason' ? String(value) : `${key} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
    )
    return new ClientError([err.message, ...detail].join(': '), { cause: err })
  }
  return err instanceof Error && expectedNames.includes(err.name) ? new ClientError(err.message, { cause: err }) : err
}
