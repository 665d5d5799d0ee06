import { LRUCache } from 'lru-cache'

interface Reading {
  record: Promise<object | undefined>
  /** Its key has been written since: what is read may be what was there before */
  stale: boolean
}

/** Records that were read lately, in memory. Who writes a record says so before and after. */
export class RecordCache {
  readonly #records: LRUCache<string, object>
  readonly #reading = new Map<string, Reading>()
  /** How many writes of a key are under way */
  readonly #writing = new Map<string, number>()

  /** @param max records that are kept */
  constructor(max: number) {
    this.#records = new LRUCache({ max })
  }

  /** @param read is asked where the record is not here; what it returns may not be changed by anybody */
  async get<T extends object>(key: string, read: () => Promise<T | undefined>): Promise<T | undefined> {
    const cached = this.#records.get(key) ?? this.#reading.get(key)?.record
    if (cached !== undefined) {
      return (await cached) as T | undefined
    }
    if (this.#writing.has(key)) {
      return await read()
    }
    const reading = { record: read(), stale: false }
    this.#reading.set(key, reading)
    try {
      const record = await reading.record
      if (record !== undefined && !reading.stale) {
        this.#records.set(key, record)
      }
      return record
    } finally {
      if (!reading.stale) {
        this.#reading.delete(key)
      }
    }
  }

  /** Runs a write of records; nothing of theirs is kept until it is over */
  async write(keys: readonly string[], work: () => Promise<void>): Promise<void> {
    for (const key of keys) {
      this.#records.delete(key)
      const reading = this.#reading.get(key)
      if (reading !== undefined) {
        reading.stale = true
        this.#reading.delete(key)
      }
      this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1)
    }
    try {
      await work()
    } finally {
      for (const key of keys) {
        const others = this.#writing.get(key)! - 1
        if (others > 0) {
          this.#writing.set(key, others)
        } else {
          this.#writing.delete(key)
        }
      }
    }
  }
}
