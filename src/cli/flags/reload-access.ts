import type { Config } from '../../config/schema.ts'
import { line } from '../output/printable.ts'
import type { CliContext } from '../process/context.ts'
import { runCommand } from '../process/run-command.ts'
import { connectToSocket } from './admin-flags.ts'

/** Milliseconds for which a server is waited for */
const maxWait = 10_000

/**
 * Has the server on a data directory read rules, users and keys, so that they hold once the command ends; tells where
 * they don't hold yet
 *
 * @throws InterruptedError after a signal
 */
export async function reloadAccess({ dataDir }: Pick<Config, 'dataDir'>, context: CliContext): Promise<void> {
  await runCommand(context, async signal => {
    await reload(dataDir, context, signal)
  })
}

async function reload(dataDir: string, context: CliContext, signal: AbortSignal): Promise<void> {
  const [{ ApplianceClient }, { NoServerError }] = await Promise.all([
    import('../../client/appliance/appliance-client.ts'),
    import('../../client/appliance/admin-connections.ts'),
  ])
  const appliance = new ApplianceClient(await connectToSocket(dataDir))
  try {
    const { problem } = await appliance.reloadAccess({
      signal: AbortSignal.any([signal, AbortSignal.timeout(maxWait)]),
    })
    if (problem !== undefined) {
      context.stderr.write(line`The server goes on as before, as it can't use the files: ${problem}`)
    }
  } catch (err) {
    signal.throwIfAborted()
    const text =
      err instanceof NoServerError
        ? line`No server runs on ${dataDir}: one reads this when it starts.`
        : line`The server has not said that it has read this, and should within a second: ${(err as Error).message}`
    context.stderr.write(text)
  }
}
