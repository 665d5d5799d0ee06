import { syncDirectory } from './sync-directory.ts'

const concurrency = 8

/** Directories with names that may not be on disk yet */
export class UnsyncedDirectories {
  readonly #fsync: boolean
  #directories = new Set<string>()
  #running: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @param fsync whether they are synced at all */
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
    const directories = [...this.#directories]
    this.#directories = new Set()
    try {
      const left = directories.values()
      await Promise.all(
        Array.from({ length: concurrency }, async () => {
          for (const directory of left) {
            await syncDirectory(directory)
          }
        }),
      )
    } catch (err) {
      directories.forEach(directory => this.#directories.add(directory))
      throw err
    }
  }
}
