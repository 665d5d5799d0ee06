import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../log.ts'
import { addVia } from '../oci/via.ts'
import { UpstreamError, type UpstreamOptions } from '../registry/upstream.ts'
import { responseError, type Answer } from '../remote/http/answer.ts'
import { isSameServer } from '../remote/http/plain-http.ts'
import { send, type SendInit } from '../remote/http/request.ts'
import type { Credentials } from '../remote/registry/docker-credentials.ts'
import { RegistryAuth } from '../remote/registry/registry-auth.ts'
import { Slots } from '../scheduling/slots.ts'
import { Throttle } from './throttle.ts'
import { UpstreamErrors } from './upstream-errors.ts'
import type { UpstreamNotes } from './upstream-notes.ts'

/** A request is not repeated later than this after it began; milliseconds */
const retryTime = 5000
/** Milliseconds before a request is repeated for the first time; then twice as much each time */
const firstPause = 200

export interface UpstreamRequestsInit {
  name: string
  url: URL
  /** Requests at a time, the bodies of their answers included */
  maxRequests: number
  /** Milliseconds until an answer begins, between two pieces of it, and that a request waits for its turn */
  timeout: number
  /** By which this registry names itself in `Via` */
  instance: string
}

export interface UpstreamRequestsComponents {
  fetch: typeof fetch
  /** The log-in, read anew for each token */
  credentials: () => Promise<Credentials | undefined>
  /** Remembers how the upstream is; @default nobody does */
  notes?: Pick<UpstreamNotes, 'failed'> | undefined
  log: Logger
}

export interface UpstreamRequest extends UpstreamOptions {
  repository: string
  /** Of the repository, such as `tags/list`, or a URL that an answer gave */
  path: string | URL
  method?: 'HEAD' | undefined
  headers?: Record<string, string> | undefined
  /** How often it is sent, if it fails for a reason that may be gone the next time. @default 1 */
  tries?: number | undefined
}

/** An answer of status 200 or 206; its slot is taken until it is disposed of */
export interface HeldAnswer extends AsyncDisposable {
  answer: Answer
}

/** The requests to one upstream: so many at a time, with a log-in, and none while the upstream wants none */
export class UpstreamRequests {
  readonly errors: UpstreamErrors
  readonly #init: UpstreamRequestsInit
  readonly #fetch: typeof fetch
  readonly #log: Logger
  readonly #throttle: Throttle
  readonly #slots: Slots
  readonly #auth: RegistryAuth

  constructor({ credentials, fetch, log, notes }: UpstreamRequestsComponents, init: UpstreamRequestsInit) {
    this.#init = init
    this.#fetch = fetch
    this.#log = log
    this.#throttle = new Throttle(init.name)
    this.errors = new UpstreamErrors({
      upstream: init.name,
      throttle: this.#throttle,
      onError: err => {
        notes?.failed(err)
      },
    })
    this.#slots = new Slots(init.maxRequests)
    this.#auth = new RegistryAuth(async () => {
      try {
        return await credentials()
      } catch (err) {
        // its message names files of this machine
        log.error('the log-in for an upstream cannot be read', { upstream: init.name, err })
        throw this.errors.of('denied', 'is not asked: its log-in cannot be read')
      }
    })
  }

  /** Milliseconds for which the upstream is still to be left alone */
  get pause(): number {
    return this.#throttle.left
  }

  /**
   * Sends a request and reads its answer
   *
   * @returns undefined for a 404
   * @throws UpstreamError, the reason of the signal
   */
  async ask<T>(request: UpstreamRequest, read: (answer: Answer) => Promise<T>): Promise<T | undefined> {
    return await this.#repeated(request, async () => {
      await using held = await this.#hold(request)
      return held === undefined ? undefined : await read(held.answer)
    })
  }

  /**
   * Sends a request whose answer is read later
   *
   * @returns undefined for a 404
   * @throws UpstreamError, the reason of the signal
   */
  async open(request: UpstreamRequest): Promise<HeldAnswer | undefined> {
    return await this.#repeated(request, async () => await this.#hold(request))
  }

  async #repeated<T>({ signal, tries = 1 }: UpstreamRequest, once: () => Promise<T>): Promise<T> {
    const began = performance.now()
    for (let attempt = 1; ; attempt++) {
      try {
        return await once()
      } catch (err) {
        signal?.throwIfAborted()
        const failure = this.errors.from(err)
        this.#logFailure(failure)
        const mayPass = failure instanceof UpstreamError && failure.reason === 'unreachable'
        if (!mayPass || attempt >= tries || performance.now() - began > retryTime) {
          throw failure
        }
      }
      await this.#pause(firstPause * 2 ** (attempt - 1) * (1 + Math.random()), signal)
    }
  }

  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    try {
      await sleep(ms, undefined, signal === undefined ? {} : { signal })
    } finally {
      signal?.throwIfAborted()
    }
  }

  async #hold(request: UpstreamRequest): Promise<HeldAnswer | undefined> {
    this.#throttle.require()
    const slot = await this.#slot(request.signal)
    try {
      const answer = await this.#accepted(request)
      if (answer === undefined) {
        slot[Symbol.dispose]()
        return undefined
      }
      return {
        answer,
        [Symbol.asyncDispose]: async () => {
          slot[Symbol.dispose]()
          await discard(answer)
        },
      }
    } catch (err) {
      slot[Symbol.dispose]()
      throw err
    }
  }

  async #slot(signal: AbortSignal | undefined): Promise<Disposable> {
    const late = AbortSignal.timeout(this.#init.timeout)
    try {
      return await this.#slots.take({ signal: signal === undefined ? late : AbortSignal.any([signal, late]) })
    } catch (err) {
      if (late.aborted && signal?.aborted !== true) {
        throw this.errors.of('unreachable', 'is not asked: too many other requests wait for it')
      }
      throw err
    }
  }

  /** @returns undefined for a 404 */
  async #accepted(request: UpstreamRequest): Promise<Answer | undefined> {
    const answer = await this.#authorized(request)
    const { headers, status } = answer
    if (status === 404) {
      await discard(answer)
      return undefined
    }
    if (status !== 200 && status !== 206) {
      const { code } = await responseError(answer, '')
      await discard(answer)
      throw this.errors.ofStatus(status, code, headers.get('Retry-After'))
    }
    // digests are of the bytes as they are stored, and nothing else was asked for
    if (!['', 'identity'].includes(headers.get('Content-Encoding')?.trim().toLowerCase() ?? '')) {
      await discard(answer)
      throw this.errors.invalid('answered with a Content-Encoding that nobody asked for')
    }
    return answer
  }

  async #authorized({ headers, method, path, repository, signal, via }: UpstreamRequest): Promise<Answer> {
    const { instance, timeout, url } = this.#init
    const place = path instanceof URL ? path : new URL(`/v2/${repository}/${path}`, url)
    const scopes = [`repository:${repository}:pull`]
    const transport = { fetch: this.#fetch, timeout, silence: timeout, signal }
    const request = {
      ...transport,
      method: method ?? 'GET',
      plainHttp: url.protocol === 'http:',
      headers: { ...headers, Via: addVia(via, instance) },
    }
    const first = await this.#auth.freshHeader(scopes, url, transport)
    const answer = await send(place, withLogIn(request, first))
    const challenge = answer.headers.get('WWW-Authenticate')
    if (answer.status !== 401 || challenge === null || !isSameServer(new URL(answer.url), url)) {
      return answer
    }
    await discard(answer)
    if (!(await this.#auth.answer(challenge, scopes, url, { ...transport, refused: first ?? '' }))) {
      throw this.errors.ofStatus(401, undefined, undefined)
    }
    const second = await send(place, withLogIn(request, this.#auth.header(scopes)))
    if (second.status === 401) {
      // the next request starts with a new log-in, as the stored one may have been replaced
      this.#auth.forget(scopes)
    }
    return second
  }

  #logFailure(err: unknown): void {
    if (err instanceof UpstreamError) {
      const level = err.reason === 'invalid' ? 'warn' : 'debug'
      this.#log[level]('upstream does not deliver', { upstream: err.upstream, reason: err.reason, err: err.message })
    }
  }
}

function withLogIn(request: SendInit, header: string | undefined): SendInit {
  return header === undefined ? request : { ...request, headers: { ...request.headers, Authorization: header } }
}

/** Ends what is left of an answer; it may have ended already */
async function discard(answer: Answer): Promise<void> {
  try {
    await answer.discard()
  } catch {
    // its reader has done so
  }
}
