import { ClientError, ResponseError } from '../errors.ts'
import { addressesOf, isSameServer, requireTls, urlFrom } from './plain-http.ts'
import { fetchBySocket, type SocketRequest } from './unix-socket.ts'
import { Watch } from './request-watch.ts'

const second = 1000
const minute = 60 * second

/** Until a server answers that has the whole request */
const answerTimeout = 2 * minute
/** While a body is on its way, for each piece of it */
const idleTimeout = minute
/** Until all of an answer is there that is no blob */
const textTimeout = 2 * minute
const MiB = 1024 * 1024
/** As long as an answer of JSON, or a line of one, may be */
const maxTextBytes = 16 * MiB
/** What a server may say of an error, and what is told of it */
const maxErrorBytes = MiB / 16
const maxMessageLength = 1000
/** As browsers and other registry clients hold it, or more */
const maxRedirects = 10
/** Nobody listens there, or there is no such address: another one may do */
const unreachable = ['ECONNREFUSED', 'EADDRNOTAVAIL', 'ENETUNREACH', 'EHOSTUNREACH', 'EAFNOSUPPORT']

export interface SendInit {
  method?: string
  headers?: Record<string, string>
  /** A stream is taken once; a function gives it anew where the request is sent again */
  body?: Uint8Array | (() => AsyncIterable<Uint8Array>)
  /** Until the answer begins; milliseconds. @default 2 minutes, from the end of the request's body on */
  timeout?: number | undefined
  /** Whether other machines than this one may be reached without TLS. @default false */
  plainHttp?: boolean | undefined
  signal?: AbortSignal | undefined
  /** Of a Unix socket, by which the host of the URL is reached */
  socketPath?: string | undefined
}

export interface Answer {
  status: number
  headers: Headers
  /** Where it came from, after redirects */
  url: string
  body: () => AsyncIterable<Uint8Array>
  /**
   * @param maxBytes @default 16 MiB
   * @throws ClientError where there is more
   */
  text: (maxBytes?: number) => Promise<string>
  /** To be called where nobody reads it: else its connection stays open until the server falls silent */
  discard: () => Promise<void>
}

/**
 * One HTTP request. Its waits have limits of their own, beside the signal. What only reads is redirected anywhere but from HTTPS to plain HTTP, and a
 * log-in stays with its host; what writes is redirected within its host.
 *
 * @throws ClientError where the server can't be reached, falls silent, or would be reached without TLS unasked
 */
export async function send(url: URL, init: SendInit = {}): Promise<Answer> {
  const watch = new Watch(url, init.signal)
  try {
    requireTls(url, init.plainHttp === true)
    const { response, place } = await follow(url, init, watch)
    watch.expect(idleTimeout)
    return {
      status: response.status,
      headers: response.headers,
      url: place.href,
      body: () => readBody(response, watch),
      text: async (maxBytes = maxTextBytes) => await readText(response, place, watch, maxBytes),
      discard: async () => {
        watch.end()
        await response.body?.cancel()
      },
    }
  } catch (err) {
    throw watch.explain(err)
  }
}

async function follow(url: URL, init: SendInit, watch: Watch): Promise<{ response: Response; place: URL }> {
  let headers = init.headers
  let place = url
  for (let i = 0; i <= maxRedirects; i++) {
    const response = await sendOnce(place, { ...init, headers }, watch)
    const location = [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get('Location') : null
    if (location === null) {
      return { response, place }
    }
    await response.body?.cancel()
    const next = nextPlace(location, place, response.status, init)
    // what a server is told about who asks is for no other
    headers = isSameServer(next, place) ? headers : withoutLogIn(headers)
    place = next
  }
  throw new ClientError(`${url.host} redirects more than ${maxRedirects} times`)
}

/** @throws ClientError where a redirect is not followed */
function nextPlace(location: string, from: URL, status: number, { method = 'GET', plainHttp = false }: SendInit): URL {
  const next = urlFrom(location, from)
  requireTls(next, plainHttp, from)
  const isRead = ['GET', 'HEAD'].includes(method)
  if (!isRead && (!isSameServer(next, from) || ![307, 308].includes(status))) {
    throw new ClientError(`${from.host} redirects what is sent to it to ${next.host}`)
  }
  return next
}

function withoutLogIn(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'))
}

async function sendOnce(
  url: URL,
  { body, headers = {}, method = 'GET', socketPath, timeout }: SendInit,
  watch: Watch,
): Promise<Response> {
  const addresses = addressesOf(url)
  for (const [i, address] of addresses.entries()) {
    watch.expect(body instanceof Function ? idleTimeout : (timeout ?? answerTimeout))
    try {
      const request = {
        method,
        // bodies come as they are stored: their digests are of these bytes
        headers: { 'Accept-Encoding': 'identity', ...headers },
        signal: watch.signal,
        ...bodyOf(body, watch, timeout),
      }
      return socketPath === undefined
        ? await fetch(address, { redirect: 'manual', ...request })
        : await fetchBySocket(socketPath, address, request)
    } catch (err) {
      const code = ((err as Error).cause as NodeJS.ErrnoException | undefined)?.code
      if (i === addresses.length - 1 || watch.signal.aborted || !unreachable.includes(code ?? '')) {
        throw err
      }
    }
  }
  throw new ClientError(`${url.host} has no address`)
}

/**
 * @param maxBytes @default 16 MiB
 * @throws ClientError where the answer is not JSON, or has more
 */
export async function jsonOf(answer: Answer, maxBytes?: number): Promise<unknown> {
  const text = await answer.text(maxBytes)
  try {
    return JSON.parse(text)
  } catch (err) {
    throw new ClientError(`${new URL(answer.url).host} did not answer with JSON`, { cause: err })
  }
}

/** Yields the lines of an answer as they come; throws ClientError where one is not JSON */
export async function* linesOf(answer: Answer): AsyncGenerator<unknown> {
  const decoder = new TextDecoder()
  let text = ''
  // each line ends, so that what is cut off is told apart from what is whole
  for await (const chunk of answer.body()) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n')
    lines[0] = text + lines[0]!
    text = lines.pop()!
    if (text.length > maxTextBytes) {
      throw new ClientError(`${new URL(answer.url).host} answers with more than it should`)
    }
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
export async function responseError(answer: Answer, what: string): Promise<ResponseError> {
  const text = await answer.text(maxErrorBytes).catch(() => '')
  const { host } = new URL(answer.url)
  let code: string | undefined
  let message = ''
  try {
    // the distribution API answers with `errors`, the appliance's own endpoints with one text
    const { error: single, errors: [error] = [{ message: single }] } = JSON.parse(text) as {
      error?: unknown
      errors?: [{ code?: unknown; message?: unknown; detail?: { reason?: unknown } }]
    }
    code = typeof error.code === 'string' ? error.code.slice(0, maxMessageLength) : undefined
    message = [error.message, error.detail?.reason]
      .filter(part => typeof part === 'string' && part !== '')
      .join(': ')
      .slice(0, maxMessageLength)
  } catch {
    message = text.slice(0, 200).trim()
  }
  return new ResponseError([`${what}: ${host} answered ${answer.status}`, code, message].filter(Boolean).join(' '), {
    status: answer.status,
    code,
  })
}

function bodyOf(
  body: SendInit['body'],
  watch: Watch,
  timeout: number | undefined,
): Pick<RequestInit, 'duplex' | 'redirect' | 'window'> & Pick<SocketRequest, 'body'> {
  if (!(body instanceof Function)) {
    return body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }
  }
  // unless these two rule out that it is sent again, fetch keeps a second copy of all that it sends
  return { body: toStream(body(), watch, timeout), duplex: 'half', redirect: 'error', window: null }
}

function toStream(
  body: AsyncIterable<Uint8Array>,
  watch: Watch,
  timeout: number | undefined,
): ReadableStream<Uint8Array> {
  return ReadableStream.from(
    (async function* () {
      for await (const chunk of body) {
        watch.expect(idleTimeout)
        // what is queued for sending must not change, and a source may use its memory again
        yield new Uint8Array(chunk)
      }
      watch.expect(timeout ?? answerTimeout)
    })(),
  )
}

async function* readBody(response: Response, watch: Watch): AsyncGenerator<Uint8Array> {
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

async function readText(response: Response, place: URL, watch: Watch, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  const end = performance.now() + textTimeout
  let size = 0
  for await (const chunk of readBody(response, watch)) {
    size += chunk.byteLength
    if (size > maxBytes || performance.now() > end) {
      throw new ClientError(`${place.host} answers with more than it should${size > maxBytes ? '' : ', or too slowly'}`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
