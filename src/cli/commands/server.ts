import { resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Command } from 'commander'
import { tracingConfig } from '../../config/load.ts'
import type { Config } from '../../config/schema.ts'
import { createLog, type Logger } from '../../log.ts'
import { urlHost } from '../output/url-host.ts'
import { addConfigFlags, configOf } from '../flags/config-flags.ts'
import type { CliContext, ProcessEvents } from '../process/context.ts'
import { aborted, stopSignal } from '../process/signals.ts'

/** What this command uses of the appliance */
export interface Server {
  start(): Promise<void>
  stop(): Promise<void>
  /** Reads the certificate again */
  reload(): Promise<void>
  /** Of the registry, once started */
  readonly address: { host: string; port: number }
  /** Undefined if the node is offline */
  readonly peerId: string | undefined
  readonly multiaddrs: readonly string[]
}

export type CreateServer = (components: { log: Logger }, config: Config) => Promise<Server>

export function addServerCommand(
  program: Command,
  context: CliContext,
  createServer: CreateServer = createAppliance,
): void {
  addConfigFlags(program.command('server'))
    .description(
      'Run the registry and its IPFS node until SIGINT or SIGTERM; SIGHUP reads certificates and access rules again',
    )
    .action(async (_, command: Command) => serve(configOf(command, context), context, createServer))
}

async function serve(config: Config, context: CliContext, createServer: CreateServer): Promise<void> {
  using stop = stopSignal(context.process)
  const log = createLog({ ...config.log, stream: context.stderr })
  using _crash = crashHandler(context.process, log)
  const server = await createServer({ log }, config)
  using _reload = reloadOn('SIGHUP', context.process, async () => {
    log.info('reloading')
    await server.reload()
  })
  // a signal does not interrupt the start: it ends first, and is then stopped in order
  await server.start()
  try {
    if (!stop.signal.aborted) {
      context.stdout.write(banner(server, config))
    }
    await aborted(stop.signal)
    log.info('stopping', { signal: stop.signal.reason })
  } finally {
    await server.stop()
  }
}

/** Imports the appliance only when this command runs: it loads all of Helia */
async function createAppliance(components: { log: Logger }, config: Config): Promise<Server> {
  const { Appliance } = await import('../../appliance/appliance.ts')
  // Buffers outside the heap count as the heap does, instead of against a limit of 64 MiB of their own, which starts a
  // full collection for every few blocks. After the imports, as V8 takes no compiled code from a cache that other flags
  // have made.
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  // short collections are done by the main thread alone: it would wait for its helpers, which wait for a processor
  // while much is pushed
  setFlagsFromString('--no-parallel-scavenge')
  // what it writes is for its own user alone, LevelDB's files with the keys among it
  return new Appliance({ ...components, umask: process.umask(0o077), tracing: tracingConfig() }, config)
}

/** Also keeps the signal from ending the process, which it does without a listener */
function reloadOn(signal: string, events: ProcessEvents, reload: () => Promise<void>): Disposable {
  const listener = (): void => {
    void reload()
  }
  events.on(signal, listener)
  return { [Symbol.dispose]: () => events.off(signal, listener) }
}

/**
 * After an error that nothing caught, the state of the process is unknown: log it and exit. All that was acknowledged
 * is on disk.
 */
function crashHandler(events: ProcessEvents, log: Logger): Disposable {
  const crash = (error: unknown): void => {
    log.error('crashed: this is a bug', { error })
    // in the next turn of the event loop, when the line has been written
    setImmediate(() => events.exit(1))
  }
  const names = ['uncaughtException', 'unhandledRejection']
  names.forEach(name => events.on(name, crash))
  return { [Symbol.dispose]: () => names.forEach(name => events.off(name, crash)) }
}

function banner({ address, multiaddrs, peerId }: Server, config: Config): string {
  const registry = `${clientHost(address.host)}:${address.port}`
  const scheme = config.tls.certPath === undefined ? 'http' : 'https'
  const node =
    peerId === undefined
      ? ['  peer id   none (offline)']
      : [`  peer id   ${peerId}`, ...multiaddrs.map(multiaddr => `  address   ${multiaddr}`)]
  return [
    'IPDR is ready',
    `  registry  ${scheme}://${registry} (listening on ${urlHost(address.host)}:${address.port})`,
    ...node,
    `  data      ${resolve(config.dataDir)}`,
    '',
    'Push an image:',
    `  docker tag helloworld ${registry}/example/helloworld`,
    `  docker push ${registry}/example/helloworld`,
    '',
  ].join('\n')
}

/** docker trusts a registry without TLS only on localhost, so the banner uses that name if it works */
function clientHost(host: string): string {
  return ['0.0.0.0', '::', '127.0.0.1', '::1'].includes(host) ? 'localhost' : urlHost(host)
}
