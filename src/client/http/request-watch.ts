import { ClientError } from '../errors.ts'

const second = 1000

/** Aborts a request whose next step does not come in time */
export class Watch {
  readonly #host: string
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly signal: AbortSignal
  #timer: NodeJS.Timeout | undefined

  constructor(url: URL, outer: AbortSignal | undefined) {
    this.#host = url.host
    this.#outer = outer
    this.signal = AbortSignal.any([this.#controller.signal, ...(outer === undefined ? [] : [outer])])
  }

  expect(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#controller.abort(new ClientError(`${this.#host} has been silent for ${ms / second} s`))
    }, ms)
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  explain(err: unknown): unknown {
    this.end()
    if (this.#outer?.aborted === true) {
      return this.#outer.reason
    }
    if (this.#controller.signal.aborted) {
      return this.#controller.signal.reason
    }
    if (
      err instanceof Error &&
      (err.message === 'terminated' || (err as NodeJS.ErrnoException).code === 'ECONNRESET')
    ) {
      return new ClientError(`${this.#host} broke off its answer`, { cause: err })
    }
    const cause = err instanceof Error && err.message === 'fetch failed' ? err.cause : undefined
    const { code, message } = (cause ?? {}) as NodeJS.ErrnoException
    // an error of the body that was to be sent is no error of the network
    return cause === undefined || (cause as { expected?: boolean }).expected === true
      ? (cause ?? err)
      : new ClientError(`${this.#host} can't be reached: ${message === undefined || message === '' ? code : message}`, {
          cause: err,
        })
  }
}
