import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { forEach } from '../../scheduling/for-each.ts'

/** Files that are looked at at a time, while everything else goes on */
const concurrency = 4
/** Holds the bytes of all blocks while nobody writes to them; a crash leaves none */
const fileName = 'bytes'

/** A block of a directory is being written or deleted */
export interface BlockChange extends Disposable {
  /** To be called at once when it has happened, with the bytes that came or, below 0, went */
  done: (bytes: number) => void
}

/** What has happened to a directory since the open */
interface Changes {
  bytes: number
  running: number
  /** How often a change began */
  count: number
}

/**
 * Bytes of all blocks: those that were there at the open and what was added since. The first are known from the last clean stop, else they are
 * counted, directory by directory, while blocks come and go.
 */
export class BlockUsage {
  readonly #path: string
  readonly #changes = new Map<string, Changes>()
  readonly #controller = new AbortController()
  #added = 0
  /** Of the blocks that were there at the open, as far as they are counted */
  #before = 0
  #isCounted = false
  #counting: Promise<void> | undefined

  /** @param path of the blockstore */
  constructor(path: string) {
    this.#path = path
  }

  /** Undefined until they are counted, which begins when this is first asked for */
  get total(): number | undefined {
    void this.count()
    return this.#isCounted ? this.#before + this.#added : undefined
  }

  /** What is known of the total so far */
  get atLeast(): number {
    return this.#before + this.#added
  }

  /** To be called before the first change */
  async open(): Promise<void> {
    const file = join(this.#path, fileName)
    const text = await readFile(file, 'utf8').catch(() => '')
    await rm(file, { force: true })
    // a power failure must not bring it back
    await syncFile(this.#path)
    if (/^\d{1,15}\n$/.test(text)) {
      this.#before = Number(text)
      this.#isCounted = true
    }
  }

  /** To be called after the last change */
  async close(): Promise<void> {
    this.#controller.abort()
    await this.#counting
    // what still runs, as a write that hangs, may come after
    if (this.#isCounted && this.#changes.values().every(({ running }) => running === 0)) {
      await this.#save()
    }
  }

  /** Resolves when the total is known, or will not be; several calls share one count */
  async count(): Promise<void> {
    this.#counting ??= this.#isCounted ? Promise.resolve() : this.#count().catch(() => {})
    await this.#counting
  }

  /** To be called before a block of a directory is written or deleted */
  change(directory: string): BlockChange {
    const changes = this.#changes.get(directory) ?? { bytes: 0, running: 0, count: 0 }
    this.#changes.set(directory, changes)
    changes.running++
    changes.count++
    return {
      done: bytes => {
        changes.bytes += bytes
        this.#added += bytes
      },
      [Symbol.dispose]: () => {
        changes.running--
      },
    }
  }

  async #count(): Promise<void> {
    const { signal } = this.#controller
    for (const entry of await readdir(this.#path, { withFileTypes: true })) {
      if (entry.isDirectory() && entry.name !== 'tmp') {
        const bytes = await this.#countDirectory(entry.name, signal)
        this.#before += bytes
      }
    }
    this.#isCounted = true
  }

  /** @returns what it held at the open; counted again where something changed meanwhile, as nobody knows whether that is in it */
  async #countDirectory(directory: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const { running = 0, count = 0 } = this.#changes.get(directory) ?? {}
      const bytes = await bytesIn(join(this.#path, directory), signal)
      const changes = this.#changes.get(directory)
      if (running === 0 && (changes?.count ?? 0) === count) {
        return bytes - (changes?.bytes ?? 0)
      }
      await setImmediate()
    }
  }

  async #save(): Promise<void> {
    const temporary = join(this.#path, 'tmp', fileName)
    await mkdir(join(this.#path, 'tmp'), { recursive: true })
    try {
      const file = await open(temporary, 'w')
      try {
        await file.writeFile(`${this.atLeast}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, join(this.#path, fileName))
    } catch {
      // as on a full disk: the next start counts
      await rm(temporary, { force: true }).catch(() => {})
    }
  }
}

async function bytesIn(directory: string, signal: AbortSignal): Promise<number> {
  let total = 0
  await forEach(await readdir(directory), concurrency, signal, async file => {
    const size = await stat(join(directory, file)).then(
      ({ size }) => size,
      () => 0,
    )
    total += size
  })
  return total
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
