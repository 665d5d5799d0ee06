import { setTimeout as sleep } from 'node:timers/promises'

/** What may be taken at once after a pause; milliseconds */
const burst = 100

/** Holds up whoever takes more than so many bytes a second */
export class RateLimit {
  readonly #bytesPerSecond: number
  /** When all that was taken is paid for; milliseconds of `performance.now()` */
  #paid = 0

  /** @param bytesPerSecond Infinity: no limit */
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
