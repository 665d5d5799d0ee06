import { raceSignal } from 'race-signal'

/** Runs one piece of work at a time for each key, in the order in which they came */
export class KeyedLock {
  readonly #last = new Map<string, Promise<void>>()

  /** @throws AbortError where the signal fires before the work's turn has come */
  async run<T>(key: string, work: () => Promise<T>, options: { signal?: AbortSignal | undefined } = {}): Promise<T> {
    const previous = this.#last.get(key) ?? Promise.resolve()
    const { promise: done, resolve: release } = Promise.withResolvers<void>()
    // one that gave up waiting still stands between its neighbours
    const last = previous.then(async () => {
      await done
    })
    this.#last.set(key, last)
    void last.then(() => {
      if (this.#last.get(key) === last) {
        this.#last.delete(key)
      }
    })
    try {
      await raceSignal(previous, options.signal)
      return await work()
    } finally {
      release()
    }
  }

  /** Whether work runs or waits */
  has(key: string): boolean {
    return this.#last.has(key)
  }

  /** Resolves when all work that runs or waits now has ended */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}
