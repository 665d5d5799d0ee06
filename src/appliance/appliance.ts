/*
 * src/appliance: the composition root of the server
 *
 *   appliance.ts      the server as the command line sees it: start, stop, reload
 *   build.ts          all of its parts as a list, in groups: begin here
 *   groups/           one file for each group of parts, built from those before it; part.ts: how parts start and stop
 *   checks/           what is checked before anything changes on disk; explain-start.ts says what is wrong
 *   directory/        the data directory, who can read it, and who administers the server by what lies there
 *   init-access, check-access     what `ipdr access` does
 *   doctor/           what `ipdr doctor` does: diagnose.ts, and one file for each kind of check
 *
 * May import everything but src/cli and src/client. What concerns the whole process, such as the priority of its
 * threads, is done here and in src/main.js alone.
 */
import type { Config } from '../config/schema.ts'
import type { TracingConfig } from '../config/tracing.ts'
import type { Certificate } from '../http/certificate.ts'
import type { Logger } from '../log.ts'
import { second } from './groups/base.ts'
import type { Tracing } from './tracing/tracing.ts'
import { build, buildBase, type Built } from './build.ts'
import { openDataDirectory } from './directory/data-directory.ts'
import { explainStart } from './explain-start.ts'
import { RunningParts, type Part } from './groups/part.ts'
import { readStartInputs } from './checks/start-inputs.ts'

/** Loads OpenTelemetry, which nothing else does */
async function startTracing({ log }: { log: Logger }, config: TracingConfig): Promise<Tracing> {
  const { Tracing } = await import('./tracing/tracing.ts')
  return new Tracing({ log: log.child({ module: 'tracing' }) }, config)
}

/** How long a part may take to stop, beside the requests that it still answers */
const stopTimeout = 15 * second

/**
 * The whole server: checks what it is given, builds its parts, starts them in one order, and stops them in the reverse
 * order
 */
export class Appliance {
  readonly #config: Config
  readonly #log: Logger
  readonly #umask: number | undefined
  readonly #tracing: TracingConfig | undefined
  readonly #running: RunningParts
  #built: Built | undefined
  #certificate: Certificate | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  #isReady = false

  /**
   * @param components.umask for files that other programs read, where the umask of the process is for private files
   *   alone
   * @param components.tracing undefined where nobody collects traces
   */
  constructor(
    components: { log: Logger; umask?: number | undefined; tracing?: TracingConfig | undefined },
    config: Config,
  ) {
    this.#tracing = components.tracing
    this.#log = components.log
    this.#umask = components.umask
    this.#config = config
    this.#running = new RunningParts(components, { stopTimeout: stopTimeout + config.limits.drainTimeout * second })
  }

  /** Where the registry listens, once started */
  get address(): { host: string; port: number } {
    if (this.#built === undefined) {
      throw new Error('the appliance has not started')
    }
    return this.#built.server.address
  }

  /** Where health and metrics are, if they have a port of their own */
  get adminAddress(): { host: string; port: number } | undefined {
    return this.#built?.adminServer?.address
  }

  /** Undefined where the network profile is offline */
  get peerId(): string | undefined {
    return this.#built?.node.peerId
  }

  get multiaddrs(): string[] {
    return this.#built?.node.multiaddrs ?? []
  }

  /** @throws StartError; what had started is stopped again then */
  async start(): Promise<void> {
    this.#starting ??= this.#start()
    await this.#starting
  }

  /** During a start, it waits for the part that is starting, and stops with that */
  async stop(): Promise<void> {
    this.#isReady = false
    this.#stopping ??= this.#stop()
    await this.#stopping
  }

  /**
   * Reads the certificate, the access rules and the passwords again, if there are any; only the log tells of wrong ones
   */
  async reload(): Promise<void> {
    await this.#built?.accessFiles.reload()
    await this.#certificate?.reload()
  }

  async #start(): Promise<void> {
    const began = performance.now()
    try {
      const inputs = await readStartInputs({ log: this.#log }, this.#config)
      this.#certificate = inputs.certificate
      const base = buildBase({
        config: this.#config,
        inputs,
        directory: await openDataDirectory(this.#config.dataDir),
        log: this.#log,
        umask: this.#umask,
        tracing: this.#tracing && (await startTracing({ log: this.#log }, this.#tracing)),
        isReady: () => this.#isReady,
      })
      await this.#startAll(base.parts)
      this.#built = build(base)
      await this.#startAll(this.#built.parts)
      if (this.#stopping !== undefined) {
        return
      }
    } catch (err) {
      await this.#running.stop()
      throw explainStart(err, this.#config)
    }
    this.#isReady = true
    this.#log.info('started', { ...this.address, ms: Math.round(performance.now() - began) })
  }

  /** Starts no more once it has to stop */
  async #startAll(parts: readonly Part[]): Promise<void> {
    for (const part of parts) {
      if (this.#stopping === undefined) {
        await this.#running.start(part)
      }
    }
  }

  async #stop(): Promise<void> {
    await this.#starting?.catch(() => {})
    await this.#running.stop()
    this.#log.info('stopped')
  }
}
