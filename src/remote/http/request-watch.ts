import { ClientError } from '../errors.ts'

/**
 * Aborts a request whose next step does not happen in time, and turns what went wrong with it into an error for the
 * user
 */
export class RequestWatch {
  readonly #host: string
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly signal: AbortSignal
  #timer: NodeJS.Timeout | undefined

  /** @param outer the caller's signal */
  constructor(url: URL, outer: AbortSignal | undefined) {
    this.#host = url.host
    this.#outer = outer
    this.signal = AbortSignal.any([this.#controller.signal, ...(outer === undefined ? [] : [outer])])
  }

  /** Starts the time of the next step, which ends that of the step before; milliseconds */
  expect(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#controller.abort(new ClientError(`${this.#host} has been silent for ${ms / 1000} s`))
    }, ms)
  }

  /** Ends the time of the step; no time runs until the next one */
  end(): void {
    clearTimeout(this.#timer)
  }

  /**
   * Ends the watch; returns the caller's reason to abort, a ClientError for a failure of the network, else the error
   * itself
   */
  explain(err: unknown): unknown {
    this.end()
    if (this.#outer?.aborted === true) {
      return this.#outer.reason
    }
    if (this.#controller.signal.aborted) {
      return this.#controller.signal.reason
    }
    // fetch says 'terminated' when the connection ends in the middle of an answer
    if (
      err instanceof Error &&
      (err.message === 'terminated' || (err as NodeJS.ErrnoException).code === 'ECONNRESET')
    ) {
      return new ClientError(`${this.#host} closed the connection before its answer was complete`, { cause: err })
    }
    const cause = err instanceof Error && err.message === 'fetch failed' ? err.cause : undefined
    const { code, message } = (cause ?? {}) as NodeJS.ErrnoException
    // fetch also wraps an error of the source whose bytes were to be sent: that error is returned unchanged
    return cause === undefined || (cause as { expected?: boolean }).expected === true
      ? (cause ?? err)
      : new ClientError(`${this.#host} can't be reached: ${message === undefined || message === '' ? code : message}`, {
          cause: err,
        })
  }
}
