import { rmSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { join } from 'node:path'
import { Measures, type Sample } from './measures.ts'
import type { Options } from './options.ts'
import { Server } from './server.ts'
import type { Launcher, TargetName } from './targets/target.ts'
import { UsedMemory } from './used-memory.ts'

/** One case: a question that can be asked alone */
export interface Case {
  name: string
  run: (bench: Bench) => Promise<void>
}

/** What the cases share: the options, the targets, where things go */
export class Bench {
  readonly options: Options
  readonly measures = new Measures()
  readonly #launchers: Launcher[]
  readonly #scratch: string
  readonly #memory: UsedMemory

  private constructor(options: Options, launchers: Launcher[], scratch: string) {
    this.options = options
    this.#launchers = launchers
    this.#scratch = scratch
    this.#memory = new UsedMemory(join(scratch, 'used-memory'))
  }

  static async create(options: Options, launchers: Launcher[]): Promise<Bench> {
    const scratch = await mkdtemp(join(options.directory, 'ipdr-bench-'))
    process.once('exit', () => {
      rmSync(scratch, { recursive: true, force: true, maxRetries: 5 })
    })
    return new Bench(options, launchers, scratch)
  }

  /** Those of these names that are there and wanted */
  launchers(...names: TargetName[]): Launcher[] {
    return this.#launchers.filter(({ name }) => names.includes(name))
  }

  /** Registries, and what shows the limits of the machine and of the client */
  get registries(): Launcher[] {
    return this.launchers('ipdr', 'before', 'distribution', 'zot', 'limit', 'null')
  }

  /** A folder that is gone when the benchmark ends */
  async folder(name: string): Promise<string> {
    return await mkdtemp(join(this.#scratch, `${name}-`))
  }

  /** A folder that stays for the next run, for what takes long to make */
  async cache(): Promise<string> {
    const path = join(this.options.directory, 'ipdr-bench-cache')
    await mkdir(path, { recursive: true })
    return path
  }

  /** Starts servers on empty folders, gives them to `work`, and stops them */
  async withServers(launchers: Launcher[], work: (servers: Server[]) => Promise<void>): Promise<void> {
    const servers: Server[] = []
    try {
      for (const launcher of launchers) {
        servers.push(await Server.start(launcher, await this.folder(launcher.name)))
      }
      await work(servers)
    } finally {
      await Promise.all(
        servers.map(async server => {
          await server.remove()
        }),
      )
    }
  }

  /**
   * Every item once in each round, A B C and then C B A, so that neither drift nor order favours one
   *
   * @param work its `round` is 0 in the round that warms up, whose values don't count, and counts from 1 then
   */
  async inTurn<Item extends { name: string }>(
    items: Item[],
    work: (item: Item, round: number) => Promise<Sample[]>,
    { warmUp = true }: { warmUp?: boolean } = {},
  ): Promise<void> {
    for (let round = warmUp ? 0 : 1; round <= this.options.rounds; round++) {
      for (const item of round % 2 === 0 ? items : items.toReversed()) {
        // a quick run measures nothing
        if (!this.options.quick) {
          await this.#memory.fill()
        }
        const samples = await work(item, round)
        if (round > 0) {
          samples.forEach(sample => {
            this.measures.add(item.name, sample)
          })
        }
      }
    }
  }
}
