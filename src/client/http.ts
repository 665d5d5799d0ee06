import { isIP } from 'node:net'
import { lookup } from 'node:dns/promises'
import { ClientError, ResponseError } from './client-error.ts'

const second = 1000
const minute = 60 * second

/** Until a server answers that has the whole request */
const answerTimeout = 2 * minute
/** While a body is on its way, for each piece of it */
const idleTimeout = minute
/** As long as an answer of JSON or an error may be */
const maxTextBytes = 16 * 1024 * 1024

export interface SendInit {
  method?: string
  headers?: Record<string, string>
  /** A stream is taken once; a function gives it anew where the request is sent again */
  body?: Uint8Array | (() => AsyncIterable<Uint8Array>)
  /** Until the answer begins; milliseconds. @default 2 minutes, from the end of the request's body on */
  timeout?: number | undefined
  signal?: AbortSignal | undefined
}

export interface Answer {
  status: number
  headers: Headers
  /** Where it came from, after redirects */
  url: string
  body: () => AsyncIterable<Uint8Array>
  text: () => Promise<string>
}

/**
 * One HTTP request. Its waits have limits of their own, beside the signal.
 *
 * @throws ClientError where the server can't be reached or falls silent
 */
export async function send (url: URL, init: SendInit = {}): Promise<Answer> {
  const watch = new Watch(url, init.signal)
  const { body, headers = {}, method = 'GET' } = init
  watch.expect(body instanceof Function ? idleTimeout : init.timeout ?? answerTimeout)
  try {
    const response = await fetch(url, {
      method,
      // bodies come as they are stored: their digests are of these bytes
      headers: { 'Accept-Encoding': 'identity', ...headers },
      signal: watch.signal,
      ...bodyOf(body, watch, init.timeout)
    })
    watch.expect(idleTimeout)
    return {
      status: response.status,
      headers: response.headers,
      url: response.url,
      body: () => readBody(response, watch),
      text: async () => await readText(response, watch)
    }
  } catch (err) {
    throw watch.explain(err)
  }
}

/** @throws ClientError where the answer is not JSON */
export async function jsonOf (answer: Answer): Promise<unknown> {
  const text = await answer.text()
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new ClientError(`${new URL(answer.url).host} did not answer with JSON`, { cause: err })
  }
}

/** Yields the lines of an answer as they come; throws ClientError where one is not JSON */
export async function * linesOf (answer: Answer): AsyncGenerator<unknown> {
  const decoder = new TextDecoder()
  let text = ''
  // each line ends, so that what is cut off is told apart from what is whole
  for await (const chunk of answer.body()) {
    const lines = (text + decoder.decode(chunk, { stream: true })).split('\n')
    text = lines.pop()!
    for (const line of lines) {
      try {
        yield JSON.parse(line)
      } catch (err) {
        throw new ClientError(`${new URL(answer.url).host} did not answer with lines of JSON`, { cause: err })
      }
    }
  }
}

/** What a server says that does not do what it was asked for, read from the JSON of the distribution API where it is that */
export async function responseError (answer: Answer, what: string): Promise<ResponseError> {
  const text = await answer.text().catch(() => '')
  const { host } = new URL(answer.url)
  let code: string | undefined
  let message = ''
  try {
    // the distribution API answers with `errors`, the appliance's own endpoints with one text
    const { error: single, errors: [error] = [{ message: single }] } = JSON.parse(text) as {
      error?: unknown, errors?: [{ code?: unknown, message?: unknown, detail?: { reason?: unknown } }]
    }
    code = typeof error.code === 'string' ? error.code : undefined
    message = [error.message, error.detail?.reason].filter(part => typeof part === 'string' && part !== '').join(': ')
  } catch {
    message = text.slice(0, 200).trim()
  }
  return new ResponseError([`${what}: ${host} answered ${answer.status}`, code, message].filter(Boolean).join(' '), { status: answer.status, code })
}

/** Whether a host is this machine, which registries are reached on without TLS, as docker does */
export async function isLoopback (hostname: string): Promise<boolean> {
  const bare = hostname.replace(/^\[|\]$/g, '')
  if (bare === 'localhost' || isIP(bare) !== 0) {
    return bare === 'localhost' || isLoopbackAddress(bare)
  }
  const addresses = await lookup(bare, { all: true }).catch(() => [])
  return addresses.length > 0 && addresses.every(({ address }) => isLoopbackAddress(address))
}

function isLoopbackAddress (address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** Aborts a request whose next step does not come in time */
class Watch {
  readonly #host: string
  readonly #controller = new AbortController()
  readonly #outer: AbortSignal | undefined
  readonly signal: AbortSignal
  #timer: NodeJS.Timeout | undefined

  constructor (url: URL, outer: AbortSignal | undefined) {
    this.#host = url.host
    this.#outer = outer
    this.signal = AbortSignal.any([this.#controller.signal, ...(outer === undefined ? [] : [outer])])
  }

  expect (ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { this.#controller.abort(new ClientError(`${this.#host} has been silent for ${ms / second} s`)) }, ms)
  }

  end (): void {
    clearTimeout(this.#timer)
  }

  explain (err: unknown): unknown {
    this.end()
    if (this.#outer?.aborted === true) {
      return this.#outer.reason
    }
    if (this.#controller.signal.aborted) {
      return this.#controller.signal.reason
    }
    const cause = err instanceof Error && err.message === 'fetch failed' ? err.cause : undefined
    const { code, message } = (cause ?? {}) as NodeJS.ErrnoException
    // an error of the body that was to be sent is no error of the network
    return cause === undefined || (cause as { expected?: boolean }).expected === true
      ? cause ?? err
      : new ClientError(`${this.#host} can't be reached: ${message === undefined || message === '' ? code : message}`, { cause: err })
  }
}

function bodyOf (body: SendInit['body'], watch: Watch, timeout: number | undefined): RequestInit {
  if (!(body instanceof Function)) {
    return body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }
  }
  // unless these two rule out that it is sent again, fetch keeps a second copy of all that it sends
  return { body: toStream(body(), watch, timeout), duplex: 'half', redirect: 'error', window: null }
}

function toStream (body: AsyncIterable<Uint8Array>, watch: Watch, timeout: number | undefined): ReadableStream<Uint8Array> {
  return ReadableStream.from((async function * () {
    for await (const chunk of body) {
      watch.expect(idleTimeout)
      // what is queued for sending must not change, and a source may use its memory again
      yield new Uint8Array(chunk)
    }
    watch.expect(timeout ?? answerTimeout)
  })())
}

async function * readBody (response: Response, watch: Watch): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) {
      watch.expect(idleTimeout)
      yield chunk
      // whoever reads may take its time
      watch.expect(idleTimeout)
    }
  } catch (err) {
    throw watch.explain(err)
  } finally {
    watch.end()
  }
}

async function readText (response: Response, watch: Watch): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of readBody(response, watch)) {
    size += chunk.byteLength
    if (size > maxTextBytes) {
      throw new ClientError(`${new URL(response.url).host} answers with more than it should`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
