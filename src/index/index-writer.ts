/**
 * All writes to the index go through one queue. LevelDB appends to a log; where an append fails half-way, as on a full disk, it goes on behind
 * the torn record, and at the next start drops everything from there on, however often it said that it was written. So there is one write at
 * a time, and after a failed one the store is opened anew, which drops the torn record alone, before anything else is written.
 */
import { statfs } from 'node:fs/promises'
import type { LevelDatastore } from 'datastore-level'
import { StorageFullError } from './errors.ts'

export type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

/** Below this nothing is written: LevelDB needs room for its own files when it is opened */
const reservedBytes = 4 * 1024 * 1024

interface Write {
  operations: Operation[]
  durable: boolean
  resolve: () => void
  reject: (err: unknown) => void
}

export class IndexWriter {
  readonly #db: LevelDatastore['db']
  readonly #path: string | undefined
  #waiting: Write[] = []
  #running = false
  #torn = false
  #reopening: Promise<void> = Promise.resolve()

  /** @param path where the store is; undefined: in memory */
  constructor(db: LevelDatastore['db'], path: string | undefined) {
    this.#db = db
    this.#path = path
  }

  /** Reads wait for it: for a moment the store may be closed */
  get available(): Promise<void> {
    return this.#reopening
  }

  /**
   * All or nothing; writes that come while one runs are written together
   *
   * @throws StorageFullError
   */
  async write(operations: Operation[], { durable }: { durable: boolean }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ operations, durable, resolve, reject })
    void this.#run()
    await promise
  }

  async #run(): Promise<void> {
    if (this.#running) {
      return
    }
    this.#running = true
    while (this.#waiting.length > 0) {
      const writes = this.#waiting
      this.#waiting = []
      try {
        await this.#writeGroup(writes)
        writes.forEach(({ resolve }) => {
          resolve()
        })
      } catch (err) {
        writes.forEach(({ reject }) => {
          reject(err)
        })
      }
    }
    this.#running = false
  }

  async #writeGroup(writes: Write[]): Promise<void> {
    await this.#requireSpace()
    if (this.#torn) {
      await this.#reopen()
    }
    try {
      await this.#db.batch(
        writes.flatMap(({ operations }) => operations),
        { sync: writes.some(({ durable }) => durable) },
      )
    } catch (err) {
      this.#torn = true
      await this.#requireSpace(err)
      throw err
    }
  }

  async #reopen(): Promise<void> {
    this.#reopening = (async () => {
      await this.#db.close()
      await this.#db.open()
    })()
    try {
      await this.#reopening
      this.#torn = false
    } finally {
      this.#reopening = Promise.resolve()
    }
  }

  async #requireSpace(cause?: unknown): Promise<void> {
    if (this.#path === undefined) {
      return
    }
    const { bavail, bsize } = await statfs(this.#path)
    if (bavail * bsize < reservedBytes) {
      throw new StorageFullError(undefined, { cause })
    }
  }
}
