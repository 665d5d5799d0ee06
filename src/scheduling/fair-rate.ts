interface Waiting {
  /** Bytes that its turn reserves */
  estimate: number
  resolve: () => void
}

export interface FairRateInit {
  bytesPerSecond: number
  /** The clock, in milliseconds. @default that of `performance` */
  now?: (() => number) | undefined
}

/**
 * Shares a number of bytes per second among many takers: whoever waits gets turns by rotation, however often the others
 * ask. What a turn takes is known only at its end, so an estimate is reserved for it meanwhile.
 */
export class FairRate {
  readonly #price: number
  readonly #now: () => number
  /** When the rate allows all that was taken and reserved; milliseconds */
  #paid = 0
  /** Bytes that takers may still take of what was reserved for their turns */
  readonly #reserved = new Map<string, number>()
  /** Those who wait for a turn, the next one first; each with its own queue */
  readonly #queues = new Map<string, Waiting[]>()
  #timer: NodeJS.Timeout | undefined

  constructor({ bytesPerSecond, now = () => performance.now() }: FairRateInit) {
    this.#price = 1000 / bytesPerSecond
    this.#now = now
  }

  /**
   * Waits for a turn of the taker, and runs the work
   *
   * @param estimate bytes that are reserved until the work has ended; it tells by {@link take} what it really took
   */
  async run<T>(taker: string, estimate: number, work: () => Promise<T>): Promise<T> {
    await this.#turn(taker, estimate)
    try {
      return await work()
    } finally {
      this.#pay(-this.#release(taker, estimate))
      this.#next()
    }
  }

  /** Takes of what is reserved for the taker first */
  take(taker: string, bytes: number): void {
    this.#pay(bytes - this.#release(taker, bytes))
  }

  #reserve(taker: string, bytes: number): void {
    this.#reserved.set(taker, (this.#reserved.get(taker) ?? 0) + bytes)
    this.#pay(bytes)
  }

  /** @returns how many of so many bytes were reserved */
  #release(taker: string, bytes: number): number {
    const reserved = this.#reserved.get(taker) ?? 0
    if (reserved > bytes) {
      this.#reserved.set(taker, reserved - bytes)
      return bytes
    }
    this.#reserved.delete(taker)
    return reserved
  }

  #pay(bytes: number): void {
    this.#paid = (bytes > 0 ? Math.max(this.#paid, this.#now()) : this.#paid) + bytes * this.#price
  }

  async #turn(taker: string, estimate: number): Promise<void> {
    if (this.#queues.size === 0 && this.#paid <= this.#now()) {
      this.#reserve(taker, estimate)
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const queue = this.#queues.get(taker) ?? []
    this.#queues.set(taker, queue)
    queue.push({ estimate, resolve })
    this.#next()
    await promise
  }

  /** Gives turns, and waits until there can be the next one */
  #next(): void {
    clearTimeout(this.#timer)
    for (const [taker, queue] of this.#queues) {
      const wait = this.#paid - this.#now()
      if (wait > 0) {
        this.#timer = setTimeout(() => {
          this.#next()
        }, wait)
        // a node that stops does not wait for it
        this.#timer.unref()
        return
      }
      this.#queues.delete(taker)
      const [waiting, ...others] = queue
      if (others.length > 0) {
        // behind all others
        this.#queues.set(taker, others)
      }
      this.#reserve(taker, waiting!.estimate)
      waiting!.resolve()
    }
  }
}
