import type { Index, UploadRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { KeyedLock } from '../../scheduling/keyed-lock.ts'

const hour = 60 * 60 * 1000

export interface UploadExpiryComponents {
  index: Pick<Index, 'upload' | 'uploads'>
  /** Held by the id of an upload while somebody writes to it */
  lock: KeyedLock
  /** Deletes an upload */
  drop: (id: string) => Promise<void>
  log: Logger
}

export interface UploadExpiryInit {
  /** An upload that nobody wrote to for this long is dropped; milliseconds */
  expiry: number
}

export interface ExpireOptions {
  /** Milliseconds that an upload may be idle, where that is less than the expiry */
  idle?: number | undefined
  /** Whether those go, too, that there was no room for when they were last written to */
  refused?: boolean | undefined
}

/** Drops the uploads that nobody goes on with */
export class UploadExpiry {
  readonly #components: UploadExpiryComponents
  readonly #expiry: number
  /** Ids of those that there was no room for */
  readonly #refused = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(components: UploadExpiryComponents, init: UploadExpiryInit) {
    this.#components = components
    this.#expiry = init.expiry
  }

  async start(): Promise<void> {
    this.#timer ??= setInterval(() => {
      this.expire().catch(err => {
        this.#components.log.error('expiring uploads failed', { err })
      })
    }, hour).unref()
    await this.expire()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Runs work that writes to an upload, and remembers whether there was room for it */
  async watch<T>(id: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      this.#refused.delete(id)
      return result
    } catch (err) {
      const { name } = err as Error
      if (name === 'StorageFullError') {
        this.#refused.add(id)
      } else if (name === 'BlobTooLargeError') {
        // it can't ever become a blob
        await this.#components.drop(id)
      }
      throw err
    }
  }

  /** The upload is over */
  forget(id: string): void {
    this.#refused.delete(id)
  }

  /** Those that are being written to stay */
  async expire({ idle = Infinity, refused = false }: ExpireOptions = {}): Promise<void> {
    const { index, lock } = this.#components
    const before = Date.now() - Math.min(idle, this.#expiry)
    const isOver = (id: string, record: UploadRecord): boolean =>
      Date.parse(record.updated) <= before || (refused && this.#refused.has(id))
    for await (const { id, record } of index.uploads()) {
      if (isOver(id, record) && !lock.has(id)) {
        await lock.run(id, async () => {
          await this.#drop(id, isOver)
        })
      }
    }
  }

  /** An upload may have gone on, or ended, since it was listed */
  async #drop(id: string, isOver: (id: string, record: UploadRecord) => boolean): Promise<void> {
    const { index, drop, log } = this.#components
    const record = await index.upload(id)
    if (record !== undefined && isOver(id, record)) {
      await drop(id)
      log.info('upload expired', { repository: record.repository, upload: id, size: record.size })
    }
  }
}
