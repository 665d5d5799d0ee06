import { UpstreamError } from '../registry/upstream.ts'

/** Seconds to leave an upstream alone that is asked too often: where it does not say how long, and at most */
const [defaultWait, maxWait] = [30, 3600]

/** When an upstream wants to be asked again */
export class Throttle {
  readonly #upstream: string
  /** Milliseconds of `performance.now()` */
  #until = 0

  /** @param upstream its name */
  constructor(upstream: string) {
    this.#upstream = upstream
  }

  /** Milliseconds for which the upstream is still to be left alone */
  get left(): number {
    return Math.max(0, this.#until - performance.now())
  }

  /** @throws UpstreamError while the upstream is to be left alone */
  require(): void {
    if (this.left > 0) {
      throw this.#error(this.left)
    }
  }

  /**
   * Notes that the upstream asks to come back later
   *
   * @param retryAfter the header: seconds or a date
   */
  note(retryAfter: string | null | undefined): UpstreamError {
    const wait = secondsOf(retryAfter ?? '') * 1000
    this.#until = Math.max(this.#until, performance.now() + wait)
    return this.#error(this.#until - performance.now())
  }

  #error(left: number): UpstreamError {
    const retryAfter = Math.max(1, Math.ceil(left / 1000))
    return new UpstreamError(`${this.#upstream} wants no more requests for ${retryAfter} s`, {
      upstream: this.#upstream,
      reason: 'throttled',
      retryAfter,
    })
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 */
function secondsOf(retryAfter: string): number {
  const text = retryAfter.trim()
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000
  return Number.isNaN(seconds) ? defaultWait : Math.min(Math.max(seconds, 1), maxWait)
}
