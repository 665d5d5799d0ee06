/**
 * All writes to the index go through one queue, because of how LevelDB handles a failed write. It appends each write to
 * a log. When an append fails half-way, as on a full disk, LevelDB keeps appending after the torn record, and the next
 * start drops the torn record and everything after it, even though it reported those later writes as done. So there is
 * one write at a time here, and after a failed write the store is closed and opened again before anything else is
 * written: that drops the torn record alone.
 */
import { statfs } from 'node:fs/promises'
import type { LevelDatastore } from 'datastore-level'
import { IndexError } from './errors.ts'

export type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

/** Bytes that stay free on the file system: LevelDB needs room for its own files when it is opened */
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

  /** @param path of the store; undefined where it is in memory */
  constructor(db: LevelDatastore['db'], path: string | undefined) {
    this.#db = db
    this.#path = path
  }

  /** Every read awaits this first, as the store is closed for a moment after a failed write */
  get available(): Promise<void> {
    return this.#reopening
  }

  /**
   * Writes all of the operations or none. Writes that arrive while another one runs are written together afterwards.
   *
   * @throws IndexError INDEX_FULL
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
      throw new IndexError('INDEX_FULL', { cause })
    }
  }
}
