import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

export interface SocketRequest {
  method: string
  headers: Record<string, string>
  body?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>
  signal: AbortSignal
}

/** Sends one HTTP request over a Unix socket, which `fetch` can't do; it fails with the errors of `fetch` */
export async function fetchBySocket(
  path: string,
  url: URL,
  { method, headers, body, signal }: SocketRequest,
): Promise<Response> {
  try {
    const length: Record<string, number> = body instanceof Uint8Array ? { 'Content-Length': body.byteLength } : {}
    const req = request({
      socketPath: path,
      agent: false,
      method,
      path: `${url.pathname}${url.search}`,
      headers: { Host: url.host, ...length, ...headers },
      signal,
    })
    let failure: unknown
    if (body === undefined || body instanceof Uint8Array) {
      req.end(body)
    } else {
      // a server that answers early need not read the rest: stop the source once the connection closes
      const source = Readable.from(body).on('error', err => {
        failure = err
        req.destroy(err)
      })
      req.once('close', () => {
        source.destroy()
      })
      source.pipe(req)
    }
    const answered = once(req, 'response') as Promise<[IncomingMessage]>
    req.on('error', () => {})
    const [response] = await answered.catch((err: unknown) => {
      throw failure ?? err
    })
    const isEmpty = [204, 205, 304].includes(response.statusCode!)
    return new Response(isEmpty ? null : (Readable.toWeb(response) as ReadableStream<Uint8Array>), {
      status: response.statusCode!,
      headers: Object.entries(response.headersDistinct).flatMap(([name, values = []]) =>
        values.map((value): [string, string] => [name, value]),
      ),
    })
  } catch (err) {
    throw new TypeError('fetch failed', { cause: err })
  }
}
