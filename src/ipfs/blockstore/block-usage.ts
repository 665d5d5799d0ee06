import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { forEach } from '../../scheduling/for-each.ts'
import { blockDirectories, temporaryDirectory, usageFile } from './layout.ts'
import { sizeOf } from './read-file.ts'
import { syncDirectory } from './sync-directory.ts'

/** Files whose size is asked for at a time; few, as pushes and pulls go on meanwhile */
const concurrency = 4

/** A write or deletion of a block that is under way */
export interface BlockChange extends Disposable {
  /**
   * To be called at once when it has happened, with the bytes by which the directory has grown; negative for a deletion
   */
  done: (bytes: number) => void
}

/** What has happened to a directory since the start */
interface Changes {
  bytes: number
  running: number
  /** How often a change began */
  count: number
}

/**
 * Keeps count of the bytes of all blocks: those that were there at the start, and what was added and deleted since.
 *
 * A clean stop saves the total in a file, which the next start reads and deletes; so after a crash there is no such
 * file. Then the blocks are counted directory by directory, while others are written and deleted.
 */
export class BlockUsage {
  readonly #location: string
  readonly #changes = new Map<string, Changes>()
  readonly #controller = new AbortController()
  #added = 0
  /** Bytes of the blocks that were there at the start, as far as they are counted */
  #before = 0
  #isCounted = false
  #counting: Promise<void> | undefined

  /** @param location of the blockstore */
  constructor(location: string) {
    this.#location = location
  }

  /** Undefined until the count has ended; asking for it begins the count */
  get total(): number | undefined {
    void this.count()
    return this.#isCounted ? this.#before + this.#added : undefined
  }

  /** The total as far as it is counted */
  get atLeast(): number {
    return this.#before + this.#added
  }

  /** To be called before the first change */
  async open(): Promise<void> {
    const file = join(this.#location, usageFile)
    const text = await readFile(file, 'utf8').catch(() => '')
    await rm(file, { force: true })
    // else a power failure could bring the file back, with a total that is no longer true
    await syncDirectory(this.#location)
    if (/^\d{1,15}\n$/.test(text)) {
      this.#before = Number(text)
      this.#isCounted = true
    }
  }

  /** To be called after the last change */
  async close(): Promise<void> {
    this.#controller.abort()
    await this.#counting
    // a write that hangs may still happen after this
    if (this.#isCounted && this.#changes.values().every(({ running }) => running === 0)) {
      await this.#save()
    }
  }

  /** Resolves when the total is known, or when the count has failed; several calls share one count */
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
    for (const directory of await blockDirectories(this.#location)) {
      const bytes = await this.#countDirectory(directory, signal)
      this.#before += bytes
    }
    this.#isCounted = true
  }

  /**
   * @returns bytes that the directory held at the start. It is counted again where it changed meanwhile: the count may
   *   or may not include the change.
   */
  async #countDirectory(directory: string, signal: AbortSignal): Promise<number> {
    for (;;) {
      const { running = 0, count = 0 } = this.#changes.get(directory) ?? {}
      const bytes = await bytesIn(join(this.#location, directory), signal)
      const changes = this.#changes.get(directory)
      if (running === 0 && (changes?.count ?? 0) === count) {
        return bytes - (changes?.bytes ?? 0)
      }
      await setImmediate()
    }
  }

  async #save(): Promise<void> {
    const temporary = join(this.#location, temporaryDirectory, usageFile)
    await mkdir(join(this.#location, temporaryDirectory), { recursive: true })
    try {
      await using file = await open(temporary, 'w')
      await file.writeFile(`${this.atLeast}\n`)
      await file.sync()
      await rename(temporary, join(this.#location, usageFile))
    } catch {
      // e.g. on a full disk; the next start counts the blocks instead
      await rm(temporary, { force: true }).catch(() => {})
    }
  }
}

async function bytesIn(directory: string, signal: AbortSignal): Promise<number> {
  let total = 0
  await forEach(await readdir(directory), concurrency, signal, async file => {
    const size = await sizeOf(join(directory, file))
    total += size
  })
  return total
}
