import { resolve } from 'node:path'
import type { Command } from 'commander'
import { bounded } from '../../appliance/doctor/bounded.ts'
import { type Finding, ok, warning, wrong } from '../../appliance/doctor/finding.ts'
import { holderOf } from '../../appliance/doctor/holder.ts'
import { socketName } from '../../appliance/directory/admin-socket-path.ts'
import type { ServerState } from '../../client/appliance/ask-server.ts'
import { ConfigError } from '../../config/config-error.ts'
import type { Config } from '../../config/schema.ts'
import { withCauses } from '../../remote/errors.ts'
import { connectToSocket } from '../flags/admin-flags.ts'
import { addConfigFlags } from '../flags/config-flags.ts'
import { configOfServer } from '../flags/container-command.ts'
import { line } from '../output/printable.ts'
import { printResult } from '../output/results.ts'
import type { CliContext } from '../process/context.ts'
import { DeniedError } from '../process/errors.ts'
import { runCommand } from '../process/run-command.ts'
import { requireReady } from './healthcheck.ts'

interface Flags {
  json?: true
}

const second = 1000
/** For all that is asked of the server on this machine */
const limit = 5 * second

export function addDoctorCommand(program: Command, context: CliContext): void {
  addConfigFlags(program.command('doctor'))
    .description(
      'Check configuration, data directory, disk, ports, clock, DNS, certificates, access rules, upstreams, webhooks ' +
        'and limits, and say what to do; with the flags of the server, or in a container, those that it has',
    )
    .option('--json', 'print JSON')
    .action(async (flags: Flags, command: Command) => {
      await runCommand(context, async signal => {
        const findings = await examine(command, context, signal)
        const count = (outcome: Finding['outcome']): number =>
          findings.filter(finding => finding.outcome === outcome).length
        const counts = { ok: count('ok'), warnings: count('warning'), wrong: count('wrong') }
        const last = line`ok: ${counts.ok}, warnings: ${counts.warnings}, wrong: ${counts.wrong}`
        printResult(context, flags, { ...counts, findings }, findings.map(textOf).join('') + last)
        if (counts.wrong > 0) {
          throw new DeniedError('something is wrong with this installation: see the lines that begin with "wrong"')
        }
      })
    })
}

async function examine(command: Command, context: CliContext, signal: AbortSignal): Promise<Finding[]> {
  const { diagnose, diagnoseNode } = await import('../../appliance/doctor/diagnose.ts')
  const node = diagnoseNode()
  const config = await readConfig(command, context)
  if (Array.isArray(config)) {
    return [node, ...config]
  }
  const { findings, state } = await findServer(config, signal)
  return [
    node,
    ok('configuration', 'is complete and free of contradictions'),
    ...findings,
    ...(await diagnose(config, state, signal)),
  ]
}

async function readConfig(command: Command, context: CliContext): Promise<Config | Finding[]> {
  try {
    return await configOfServer(command, context)
  } catch (err) {
    if (err instanceof ConfigError) {
      const advice =
        'Correct it, then run ipdr doctor again: the other checks need it. docs/configuration.md has all keys.'
      return err.problems.map(problem => wrong('configuration', problem, advice))
    }
    throw err
  }
}

interface FoundServer {
  findings: Finding[]
  /** Undefined where no server runs on the data directory */
  state: Partial<ServerState> | undefined
}

async function findServer(config: Config, signal: AbortSignal): Promise<FoundServer> {
  const check = 'server'
  const [{ askServer }, connection] = await Promise.all([
    import('../../client/appliance/ask-server.ts'),
    connectToSocket(config.dataDir),
  ])
  try {
    const state = await bounded(async end => await askServer(connection, { signal: end }), { limit, signal })
    const answered = state.ready
      ? ok(check, `runs and is ready (${state.text})`)
      : warning(check, `runs, but is not ready: ${state.text}`, 'Wait until it is; its log says what it waits for.')
    return { state, findings: [answered, ...(state.ready ? await listens(config, signal) : [])] }
  } catch (err) {
    signal.throwIfAborted()
    if (isAbsent(err)) {
      return await findWithoutSocket(config, signal)
    }
    const { hint = 'Look at its log, and restart it.', message } = err as Error & { hint?: string }
    return { state: {}, findings: [wrong(check, `can't be asked: ${message}`, hint)] }
  }
}

/** There is no socket on some file systems: then a server has the index open, and answers at its port */
async function findWithoutSocket(config: Config, signal: AbortSignal): Promise<FoundServer> {
  const holder = await bounded(async () => await holderOf(resolve(config.dataDir)), { limit, signal })
  if (holder === undefined) {
    return { state: undefined, findings: [ok('server', `none runs on ${config.dataDir}`)] }
  }
  const findings = await listens(config, signal)
  // where it answers nothing, the check of the data directory tells who has it open
  return findings.some(({ outcome }) => outcome === 'ok')
    ? {
        state: {},
        findings: [...findings, ok('server', `process ${holder} has no ${socketName}, so its peers are not known`)],
      }
    : { state: undefined, findings }
}

/** Whether clients find the server where the configuration says */
async function listens(config: Config, signal: AbortSignal): Promise<Finding[]> {
  if (config.port === 0 || config.admin.port === 0) {
    return []
  }
  try {
    return [ok('server', `${await requireReady(config, signal)} answers`)]
  } catch (err) {
    signal.throwIfAborted()
    const advice = 'Give ipdr doctor the flags that the server has; else look at who has that port (ss -ltnp).'
    return [wrong('server', (err as Error).message, advice)]
  }
}

function isAbsent(err: unknown): boolean {
  return withCauses(err).some(({ code }) => code === 'ENOENT' || code === 'ECONNREFUSED')
}

function textOf({ advice, check, found, outcome }: Finding): string {
  const first = line`${outcome.padEnd(7)}  ${check}: ${found}`
  return advice === undefined ? first : first + line`${' '.repeat(7)}  -> ${advice}`
}
