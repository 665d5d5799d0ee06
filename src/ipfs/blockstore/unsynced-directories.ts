import { forEach } from '../../scheduling/for-each.ts'
import { syncDirectory } from './sync-directory.ts'

/** Directories that are synced at a time */
const concurrency = 8

/**
 * Directories with files that a power failure could still take away, because the directory has not been synced since
 */
export class UnsyncedDirectories {
  readonly #fsync: boolean
  #directories = new Set<string>()
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @param fsync whether directories are synced at all */
  constructor({ fsync }: { fsync: boolean }) {
    this.#fsync = fsync
  }

  add(directory: string): void {
    this.#directories.add(directory)
  }

  /** Resolves when what was added before the call is on disk. Calls that come while one runs share the next. */
  async sync(): Promise<void> {
    if (!this.#fsync) {
      this.#directories.clear()
      return
    }
    this.#next ??= this.#running
      .catch(() => {})
      .then(async () => {
        this.#next = undefined
        this.#running = this.#sync()
        await this.#running
      })
    await this.#next
  }

  async #sync(): Promise<void> {
    const directories = this.#directories
    this.#directories = new Set()
    try {
      await forEach(directories, concurrency, undefined, syncDirectory)
    } catch (err) {
      // all of them again: which were synced is not known
      directories.forEach(directory => this.#directories.add(directory))
      throw err
    }
  }
}
