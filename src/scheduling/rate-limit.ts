import { setTimeout as sleep } from 'node:timers/promises'

/** How much may be taken at once after a pause, as milliseconds of the rate */
const burst = 100

/** Delays whoever takes more than a number of bytes per second */
export class RateLimit {
  readonly #bytesPerSecond: number
  /** When the rate allows all that has been taken; milliseconds of `performance.now()` */
  #paid = 0

  /** @param bytesPerSecond Infinity means unlimited */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  async take(bytes: number, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const now = performance.now()
    this.#paid = Math.max(this.#paid, now) + (bytes / this.#bytesPerSecond) * 1000
    const wait = this.#paid - now - burst
    if (wait > 0) {
      await sleep(wait, undefined, signal === undefined ? {} : { signal })
    }
  }
}
