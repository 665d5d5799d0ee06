import { LRUCache } from 'lru-cache'

interface Reading {
  record: Promise<object | undefined>
  /** A write of the same key began meanwhile, so the value that is being read may be outdated */
  stale: boolean
}

/**
 * Keeps records in memory that were read lately. Every write goes through {@link RecordCache.write}, so that no
 * outdated record stays in the cache: a read that overlaps with a write of the same key is not cached.
 */
export class RecordCache {
  readonly #records: LRUCache<string, object>
  readonly #reading = new Map<string, Reading>()
  /** The number of writes of each key that are under way */
  readonly #writing = new Map<string, number>()

  /** @param max records; each is a few hundred bytes */
  constructor(max = 10_000) {
    this.#records = new LRUCache({ max })
  }

  /** @param read is called where the record is not in the cache. Nobody may change what it returns. */
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

  /** Runs `work`, which writes the records of these keys; none of them is cached until it has ended */
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
