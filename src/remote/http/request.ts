/**
 * One HTTP request, as everything else here and the commands send it: `send` in this file. It keeps time for each step
 * (request-watch.ts), follows redirects, and sends nothing over plain HTTP unless that is allowed (plain-http.ts). What
 * came back is read by answer.ts; unix-socket.ts reaches the server of this machine. This room imports only the errors
 * and timeouts beside it.
 */
import { ClientError, InvalidAnswerError } from '../errors.ts'
import { answerTimeout, idleTimeout } from '../timeouts.ts'
import { maxTextBytes, readText, type Answer } from './answer.ts'
import { addressesOf, isSameServer, requireTls, urlFrom } from './plain-http.ts'
import { RequestWatch } from './request-watch.ts'
import { fetchBySocket, type SocketRequest } from './unix-socket.ts'

/** At least what browsers and other registry clients follow */
const maxRedirects = 10
const redirectStatuses = [301, 302, 303, 307, 308]
/** Nothing listens at an address, or it can't be reached: the next address of the host may work */
const unreachable = ['ECONNREFUSED', 'EADDRNOTAVAIL', 'ENETUNREACH', 'EHOSTUNREACH', 'EAFNOSUPPORT']

/** How requests are sent */
export interface Transport {
  /** @default the global one */
  fetch?: typeof fetch | undefined
  /** Milliseconds from the end of the request's body to the beginning of the answer. @default `answerTimeout` */
  timeout?: number | undefined
  /** Milliseconds between two chunks of the answer. @default `idleTimeout` */
  silence?: number | undefined
}

export interface SendInit extends Transport {
  method?: string
  headers?: Record<string, string>
  /** A function is called again if the request is sent again, as after a 401 */
  body?: Uint8Array | (() => AsyncIterable<Uint8Array>)
  /** Whether other machines than this one may be reached without TLS. @default false */
  plainHttp?: boolean | undefined
  signal?: AbortSignal | undefined
  /** Path of a Unix socket to connect to, instead of the host of the URL */
  socketPath?: string | undefined
}

/**
 * Sends one HTTP request. Each step has a timeout of its own. GET and HEAD follow redirects to any server, but never
 * from HTTPS to plain HTTP, and leave the Authorization header behind; other methods only follow redirects within the
 * same server.
 *
 * @throws ClientError if the server can't be reached, falls silent, or would be reached without TLS though nobody
 *   allowed it
 */
export async function send(url: URL, init: SendInit = {}): Promise<Answer> {
  const watch = new RequestWatch(url, init.signal)
  try {
    requireTls(url, init.plainHttp === true)
    const { response, place } = await follow(url, init, watch)
    const silence = init.silence ?? idleTimeout
    watch.expect(silence)
    return {
      status: response.status,
      headers: response.headers,
      url: place.href,
      body: () => readBody(response, watch, silence),
      text: async (maxBytes = maxTextBytes) => await readText(readBody(response, watch, silence), place.host, maxBytes),
      discard: async () => {
        watch.end()
        await response.body?.cancel()
      },
    }
  } catch (err) {
    throw watch.explain(err)
  }
}

async function follow(url: URL, init: SendInit, watch: RequestWatch): Promise<{ response: Response; place: URL }> {
  let headers = init.headers
  let place = url
  for (let i = 0; i <= maxRedirects; i++) {
    const response = await sendOnce(place, { ...init, headers }, watch)
    const location = redirectStatuses.includes(response.status) ? response.headers.get('Location') : null
    if (location === null) {
      return { response, place }
    }
    await response.body?.cancel()
    const next = nextPlace(location, place, response.status, init)
    // a log-in is for the server that it was given for
    headers = isSameServer(next, place) ? headers : withoutLogIn(headers)
    place = next
  }
  throw new InvalidAnswerError(`${url.host} redirects more than ${maxRedirects} times`)
}

/** @throws ClientError if the redirect must not be followed */
function nextPlace(location: string, from: URL, status: number, { method = 'GET', plainHttp = false }: SendInit): URL {
  const next = urlFrom(location, from)
  requireTls(next, plainHttp, from)
  const isRead = ['GET', 'HEAD'].includes(method)
  if (!isRead && (!isSameServer(next, from) || ![307, 308].includes(status))) {
    throw new InvalidAnswerError(`${from.host} redirects what is sent to it to ${next.host}`)
  }
  return next
}

function withoutLogIn(headers: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'))
}

async function sendOnce(
  url: URL,
  { body, fetch = globalThis.fetch, headers = {}, method = 'GET', socketPath, timeout }: SendInit,
  watch: RequestWatch,
): Promise<Response> {
  const addresses = addressesOf(url)
  for (const [i, address] of addresses.entries()) {
    watch.expect(body instanceof Function ? idleTimeout : (timeout ?? answerTimeout))
    try {
      const request = {
        method,
        // uncompressed: digests are of the bytes as they are stored
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

function bodyOf(
  body: SendInit['body'],
  watch: RequestWatch,
  timeout: number | undefined,
): Pick<RequestInit, 'duplex' | 'redirect' | 'window'> & Pick<SocketRequest, 'body'> {
  if (!(body instanceof Function)) {
    return body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }
  }
  // `redirect` and `window` tell fetch that it never sends the body twice; otherwise it keeps a copy of all that it
  // sends
  return { body: toStream(body(), watch, timeout), duplex: 'half', redirect: 'error', window: null }
}

function toStream(
  body: AsyncIterable<Uint8Array>,
  watch: RequestWatch,
  timeout: number | undefined,
): ReadableStream<Uint8Array> {
  return ReadableStream.from(
    (async function* () {
      for await (const chunk of body) {
        watch.expect(idleTimeout)
        // a copy: fetch queues the chunk, and the source may overwrite it once the next one is asked for
        yield new Uint8Array(chunk)
      }
      watch.expect(timeout ?? answerTimeout)
    })(),
  )
}

async function* readBody(response: Response, watch: RequestWatch, silence: number): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) {
      // the time that the reader takes does not count against the server
      watch.end()
      yield chunk
      watch.expect(silence)
    }
  } catch (err) {
    throw watch.explain(err)
  } finally {
    watch.end()
  }
}
