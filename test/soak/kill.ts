import { setTimeout as sleep } from 'node:timers/promises'
import { join } from 'node:path'
import { UnexpectedStatusError, type Ledger, type Loss } from '../fixtures/ledger.ts'
import { LoadClient, pushShared } from '../fixtures/load/load-client.ts'
import { sharedLayers } from '../fixtures/load/load-image.ts'
import { collectGarbage, fsckProblems } from '../fixtures/maintenance.ts'
import { Random } from '../fixtures/random.ts'
import { RegistryClient } from '../fixtures/registry-client.ts'
import { ServerProcess } from '../fixtures/server.ts'
import { temporaryDirectory } from '../fixtures/temporary.ts'
import type { Soak } from './soak.ts'

const clients = 5
/** Of load before the server is killed; milliseconds */
const [shortest, longest] = [50, 900]

/** Kills the server again and again while clients push, move tags, mount, delete and pull and garbage is collected */
export const kill: Soak = async ({ seed, rounds = 300, print }) => {
  await using directory = await temporaryDirectory('kill')
  const run = new KillRun(join(directory.path, 'data'), seed)
  await run.begin()
  for (let round = 1; round <= rounds && run.problems.length === 0; round++) {
    const began = performance.now()
    const moment = await run.round(round)
    print(`round ${round} of ${rounds}: killed after ${moment} ms; ${run.figures()}, ${Math.round(performance.now() - began)} ms`)
  }
  await run.end()
  print(`${run.figures()} in all`)
  return run.problems
}

class KillRun {
  readonly problems: string[] = []
  readonly #dataDir: string
  readonly #random: Random
  readonly #clients: LoadClient[]
  readonly #layers = sharedLayers()
  #shared: Ledger | undefined
  #repeated = 0

  constructor (dataDir: string, seed: string) {
    this.#dataDir = dataDir
    this.#random = new Random(seed)
    this.#clients = Array.from({ length: clients }, (_, number) => new LoadClient({ number, seed, layers: this.#layers }))
  }

  async begin (): Promise<void> {
    await using server = await this.#start(true)
    this.#shared = await pushShared(new RegistryClient(server.url), this.#layers)
  }

  /** @returns when the server was killed, in milliseconds since the load began */
  async round (number: number): Promise<number> {
    // every other time a blob goes as soon as no manifest needs it, so that there is garbage
    const strict = number % 2 === 0
    await using server = await this.#start(strict)
    const client = new RegistryClient(server.url)
    await this.#verify(client, `round ${number}`)
    this.#clients.forEach(load => { load.keepsBlobs(strict) })
    await Promise.all(this.#clients.map(async load => { await load.repeat(client).catch((err: unknown) => this.#note(`round ${number}, repeated push`, err)) }))
    const controller = new AbortController()
    const working = [...this.#clients.map(async load => { await this.#load(controller.signal, async () => { await load.step(client) }, number) }), this.#load(controller.signal, async () => { await collectGarbage(client) }, number)]
    const moment = shortest + this.#random.below(longest - shortest)
    await sleep(moment)
    controller.abort()
    await server.kill()
    await Promise.all(working)
    return moment
  }

  /** Once more, and after a regular stop and a garbage collection */
  async end (): Promise<void> {
    for (const when of ['after the last crash', 'after a restart']) {
      await using server = await this.#start(false)
      const client = new RegistryClient(server.url)
      await this.#verify(client, when)
      await collectGarbage(client).catch((err: unknown) => this.#note(when, err))
      await this.#verify(client, `${when} and a garbage collection`)
    }
  }

  figures (): string {
    const sum = (value: (load: LoadClient) => number): number => this.#clients.reduce((total, load) => total + value(load), 0)
    return `${sum(load => load.ledger.acknowledged)} acknowledged, ${this.problems.length} problems, ${sum(load => load.pushes)} pushes, ${this.#repeated} repeated`
  }

  async #verify (client: RegistryClient, when: string): Promise<void> {
    const losses: Loss[] = (await Promise.all([this.#shared!.verify(client), ...this.#clients.map(async load => await load.recover(client))])).flat()
    this.#repeated += this.#clients.filter(load => load.isInterrupted).length
    this.problems.push(...losses.map(({ path, expected, found }) => `${when}: ${path} is ${found} instead of ${expected}`))
    this.problems.push(...(await fsckProblems(client)).map(problem => `${when}: ${problem}`))
  }

  /** Until the crash; what is broken off by it is no problem */
  async #load (signal: AbortSignal, step: () => Promise<void>, round: number): Promise<void> {
    while (!signal.aborted) {
      try {
        await step()
      } catch (err) {
        // an answer that says no is a bug even while the server dies
        if (err instanceof UnexpectedStatusError || !signal.aborted) {
          this.#note(`round ${round}`, err)
        }
        return
      }
    }
  }

  #note (when: string, err: unknown): void {
    this.problems.push(`${when}: ${String(err)}${err instanceof Error && err.cause !== undefined ? `: ${String(err.cause)}` : ''}`)
  }

  async #start (strict: boolean): Promise<ServerProcess> {
    return await ServerProcess.start({ dataDir: this.#dataDir, args: ['--gc-unreferenced', strict ? '24h' : '2s', '--gc-interval', 'off'] })
  }
}
