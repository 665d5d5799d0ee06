import type { Index, UploadRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { isStorageFull } from '../errors.ts'

const hour = 60 * 60 * 1000

export interface UploadExpiryComponents {
  index: Pick<Index, 'upload' | 'uploads'>
  /** Held by upload id while a request writes to the upload */
  lock: KeyedLock
  /** Deletes an upload */
  drop: (id: string) => Promise<void>
  log: Logger
}

export interface UploadExpiryInit {
  /** An upload expires when no request has written to it for this long; milliseconds */
  expiry: number
}

export interface ExpireOptions {
  /** Milliseconds that an upload may be idle, where that is less than the expiry */
  idle?: number | undefined
  /** Whether to delete uploads whose last request failed for lack of room, too */
  refused?: boolean | undefined
}

/** Deletes the uploads that their clients have given up */
export class UploadExpiry {
  readonly #components: UploadExpiryComponents
  readonly #expiry: number
  /** Ids of uploads whose last request failed for lack of room */
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

  /** Runs work that writes to an upload, and remembers whether it failed for lack of room */
  async watch<T>(id: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      this.#refused.delete(id)
      return result
    } catch (err) {
      if (isStorageFull(err)) {
        this.#refused.add(id)
      } else if ((err as Error).name === 'BlobTooLargeError') {
        // it can never become a blob
        await this.#components.drop(id)
      }
      throw err
    }
  }

  /** To be called when an upload has ended */
  forget(id: string): void {
    this.#refused.delete(id)
  }

  /** Deletes expired uploads, except those that a request is writing to */
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

  /** Looks again first, as the upload may have gone on or ended since it was listed */
  async #drop(id: string, isOver: (id: string, record: UploadRecord) => boolean): Promise<void> {
    const { index, drop, log } = this.#components
    const record = await index.upload(id)
    if (record !== undefined && isOver(id, record)) {
      await drop(id)
      log.info('upload expired', { repository: record.repository, upload: id, size: record.size })
    }
  }
}
