import { OCI_ERRORS } from '../oci/errors.ts'
import { UpstreamError, type UpstreamFailure } from '../registry/upstream.ts'
import { ClientError, InvalidAnswerError, ResponseError, withCauses } from '../remote/errors.ts'
import type { Throttle } from './throttle.ts'

/** Names and codes of errors of connections that mean an answer against HTTP */
const malformed = /^(HTTPParserError$|HPE_|UND_ERR_(HEADERS_OVERFLOW|RES_))/

/** The errors of one upstream. What the upstream says itself is never part of a message, as clients read these. */
export class UpstreamErrors {
  readonly #upstream: string
  readonly #throttle: Throttle
  readonly #onError: (err: UpstreamError) => void

  /** @param init.onError is told of each error that is not told by {@link Throttle.require} */
  constructor({
    onError = () => {},
    throttle,
    upstream,
  }: {
    upstream: string
    throttle: Throttle
    onError?: ((err: UpstreamError) => void) | undefined
  }) {
    this.#upstream = upstream
    this.#throttle = throttle
    this.#onError = onError
  }

  /** @param message what the upstream does, such as `denies access`: its name comes first */
  of(reason: UpstreamFailure, message: string, options?: ErrorOptions): UpstreamError {
    return this.#noted(
      new UpstreamError(`${this.#upstream} ${message}`, { upstream: this.#upstream, reason, ...options }),
    )
  }

  invalid(message: string, options?: ErrorOptions): UpstreamError {
    return this.of('invalid', message, options)
  }

  /** @param retryAfter the header */
  ofStatus(status: number, code: string | undefined, retryAfter: string | null | undefined): UpstreamError {
    if (status === 429 || (status === 503 && typeof retryAfter === 'string')) {
      return this.#noted(this.#throttle.note(retryAfter))
    }
    const answered = `answered ${status}${code !== undefined && Object.hasOwn(OCI_ERRORS, code) ? ` ${code}` : ''}`
    if (status === 401 || status === 403) {
      return this.of('denied', `denies access: it ${answered}`)
    }
    if (status === 508) {
      return this.invalid(`leads back to a registry that has passed on the same request: it ${answered}`)
    }
    return status === 408 || status >= 500
      ? this.of('unreachable', `does not work: it ${answered}`)
      : this.invalid(`${answered}, which is no answer to this request`)
  }

  /** What went wrong with a request or the body of its answer; errors that are not the upstream's stay as they are */
  from(err: unknown): unknown {
    if (err instanceof ResponseError) {
      // of the server for tokens
      return this.ofStatus(err.status, err.code, err.retryAfter)
    }
    if (err instanceof InvalidAnswerError || withCauses(err).some(isMalformed)) {
      return this.invalid(`does not answer as it should: ${(err as Error).message}`, { cause: err })
    }
    return err instanceof ClientError ? this.of('unreachable', `does not answer: ${err.message}`, { cause: err }) : err
  }

  #noted(err: UpstreamError): UpstreamError {
    this.#onError(err)
    return err
  }
}

function isMalformed({ code = '', name }: NodeJS.ErrnoException): boolean {
  return malformed.test(name) || malformed.test(code)
}
