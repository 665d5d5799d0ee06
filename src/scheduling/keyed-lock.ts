import { raceSignal } from 'race-signal'

/** Runs one task at a time for each key, in the order in which they came */
export class KeyedLock {
  readonly #last = new Map<string, Promise<void>>()

  /** @throws AbortError if the signal fires before it is the task's turn */
  async run<T>(key: string, work: () => Promise<T>, options: { signal?: AbortSignal | undefined } = {}): Promise<T> {
    const previous = this.#last.get(key) ?? Promise.resolve()
    const { promise: done, resolve: release } = Promise.withResolvers<void>()
    // a task that gave up waiting still keeps those after it waiting for those before it
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

  /** Whether a task runs or waits */
  has(key: string): boolean {
    return this.#last.has(key)
  }

  /** Resolves when all tasks that run or wait now have ended */
  async idle(): Promise<void> {
    await Promise.all(this.#last.values())
  }
}
