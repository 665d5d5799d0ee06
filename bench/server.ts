import { rm } from 'node:fs/promises'
import { nativePull, nativePush, type Pulled, type Pushed, type PushInit } from './native.ts'
import { GiB, MiB } from './options.ts'
import type { Launcher, StartInit, Target } from './targets/target.ts'

/** A store that holds more than this is replaced by an empty one, outside of what is timed: disks are finite */
const storeLimit = 16 * GiB

/** A registry under measurement, whose store is replaced where it gets too large */
export class Server {
  readonly launcher: Launcher
  readonly #init: StartInit | undefined
  #target: Target
  #stored = 0

  private constructor(launcher: Launcher, target: Target, init: StartInit | undefined) {
    this.launcher = launcher
    this.#target = target
    this.#init = init
  }

  static async start(launcher: Launcher, dataDir: string, init?: StartInit): Promise<Server> {
    return new Server(launcher, await launcher.start(dataDir, init), init)
  }

  get name(): string {
    return this.launcher.name
  }

  get base(): string {
    return this.#target.base
  }

  get pid(): number {
    return this.#target.pid
  }

  get dataDir(): string {
    return this.#target.dataDir
  }

  /** What the process printed */
  get output(): string {
    return this.#target.output()
  }

  /** To be called before bytes go in. A process that is new is warmed up, as the one before was. */
  async makeRoom(bytes: number): Promise<void> {
    if (this.#stored > 0 && this.#stored + bytes > storeLimit) {
      await this.restart({ empty: true })
      if (this.launcher.name !== 'kubo') {
        const repository = 'bench/warm-up'
        const size = 16 * MiB
        const { digests } = await this.push({ repository, size, clients: 4, count: 4, chunked: false })
        await this.pull(repository, digests, size, 4)
      }
    }
    this.#stored += bytes
  }

  async push(init: Omit<PushInit, 'base'>): Promise<Pushed> {
    return await nativePush({ base: this.base, ...init })
  }

  async pull(repository: string, digests: string[], size: number, clients: number, verify = false): Promise<Pulled> {
    return await nativePull({
      base: this.base,
      paths: digests.map(digest => `/v2/${repository}/blobs/${digest}`),
      size,
      clients,
      verify,
    })
  }

  async restart({ empty }: { empty: boolean }): Promise<void> {
    await this.#target.stop()
    if (empty) {
      await rm(this.dataDir, { recursive: true, force: true })
      this.#stored = 0
    }
    this.#target = await this.launcher.start(this.dataDir, this.#init)
  }

  async stop(): Promise<void> {
    await this.#target.stop()
  }

  /** Stops it and removes its store */
  async remove(): Promise<void> {
    await this.stop()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}
