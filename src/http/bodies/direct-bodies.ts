/**
 * Reads large uploads from the socket, past Node's HTTP parser.
 *
 * Why: the parser passes a body on in chunks of 64 KiB, and allocates each one. Allocating and collecting them was half
 * of the work of the main thread during a push. A body of known length needs no parser: after the headers, the next
 * Content-Length bytes of the socket are the body. They are read into one buffer of 256 KiB, which is used again for
 * each chunk.
 *
 * When: requests that {@link isLargeUpload} accepts (a PATCH, PUT or POST of a blob over plain HTTP/1.1, with a
 * Content-Length of at least 16 MiB), if no other request is under way on the connection and this version of Node has
 * the internals that are used here. All other requests, so all chunked uploads and all that come by TLS, go through the
 * parser as usual.
 *
 * How, step by step:
 *
 * 1. {@link Http1Request} makes Node believe that such a request asks for a protocol upgrade, as one for WebSockets
 *    does. So Node ends its parser after the headers, asks `shouldUpgradeCallback`, and emits 'upgrade' with the socket
 *    and the first bytes of the body (`head`).
 * 2. {@link takeDirectBodies} makes the response by hand and calls the app, to which the request looks like any other.
 * 3. {@link readInto} has the socket read into our buffer. Node offers this (`onread`) only for sockets that it
 *    connects itself, so the private symbols that `onread` sets are set here.
 * 4. {@link DirectBody} yields the chunks. The app gets them by {@link directBodyOf}; `req` itself ends at once and is
 *    empty.
 * 5. After the response the rest of the body is read and thrown away, and the connection is closed: it has no parser
 *    for another request.
 *
 * docs/decisions/009-direct-bodies.md has the measurements.
 */
import { IncomingMessage, ServerResponse, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { Socket } from 'node:net'

/** For smaller bodies, the new connection that the next request needs costs more than is saved */
const minLength = 16 * 1024 * 1024
/** Fits into the cache of a processor, and hashing it takes half a millisecond */
const bufferSize = 256 * 1024

const bodies = new WeakMap<IncomingMessage, DirectBody>()

/**
 * The body of a request that is read this way, else undefined. A chunk is overwritten once the next one is asked for.
 */
export function directBodyOf(req: IncomingMessage): AsyncIterable<Uint8Array> | undefined {
  return bodies.get(req)
}

/**
 * Options of a server for {@link takeDirectBodies}
 *
 * @param isBusy whether another request of the connection is under way
 */
export function directBodyOptions(isBusy: (socket: Socket) => boolean): ServerOptions {
  return {
    IncomingMessage: Http1Request,
    shouldUpgradeCallback: req => isLargeUpload(req) && readsInto(req.socket) && !isBusy(req.socket),
  }
}

/**
 * Passes large uploads to the app like any other request, with {@link directBodyOf} as their body
 *
 * @param lateTime how long the rest of a body may take after its response; milliseconds
 */
export function takeDirectBodies(server: Server, handle: RequestListener, lateTime: number): void {
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    socket.on('timeout', () => {
      socket.destroy()
    })
    // nothing to do: 'close' follows
    socket.on('error', () => {})
    const body = new DirectBody(socket, head, Number(req.headers['content-length']))
    bodies.set(req, body)
    // the stream of the request is empty: read it to its end, so that nothing waits for that
    req.resume()
    res.once('finish', () => {
      void body.discard(lateTime).then(() => {
        socket.destroySoon()
      })
    })
    handle(req, res)
  })
}

/** A request that claims to ask for a protocol upgrade if it is a large upload; `shouldUpgradeCallback` decides then */
export class Http1Request extends IncomingMessage {
  declare asked: boolean | undefined
  declare decided: boolean | undefined

  get upgrade(): boolean {
    return this.decided ?? (this.asked === true || isLargeUpload(this))
  }

  /**
   * Node sets this twice: before the method, to whether the client asks for an upgrade; after it, to what the callback
   * decided
   */
  set upgrade(value: boolean) {
    if (typeof this.method === 'string') {
      this.decided = value
    } else {
      this.asked = value
    }
  }
}

function isLargeUpload({ method, url = '', httpVersion, headers }: IncomingMessage): boolean {
  const { host, connection = 'keep-alive', 'content-length': length = '' } = headers
  return (
    (method === 'PATCH' || method === 'PUT' || method === 'POST') &&
    /^\/v2\/.*\/blobs\/uploads\//.test(url) &&
    httpVersion === '1.1' &&
    host !== undefined &&
    /^(?:keep-alive|close)$/i.test(connection) &&
    /^\d{1,15}$/.test(length) &&
    Number(length) >= minLength &&
    headers['transfer-encoding'] === undefined &&
    headers.expect === undefined
  )
}

class DirectBody implements AsyncIterable<Uint8Array> {
  readonly #socket: Socket
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize)
  #head: Uint8Array | undefined
  /** Bytes that have not been received yet */
  #left: number
  #failure: Error | undefined
  #next: PromiseWithResolvers<Uint8Array> | undefined

  /** @param head the bytes of the body that the parser had already read; never the whole body */
  constructor(socket: Socket, head: Uint8Array, length: number) {
    this.#socket = socket
    this.#head = head
    this.#left = length - head.byteLength
    readInto(
      socket,
      () => this.#buffer.subarray(0, Math.min(bufferSize, Math.max(1, this.#left))),
      length => this.#received(length),
    )
    // read nothing until a chunk is asked for
    socket.pause()
    // a client that ends its side before the body is complete does not wait for a response
    socket.once('end', () => {
      if (this.#left > 0) {
        socket.destroy()
      }
    })
    socket.once('close', () => {
      this.#fail()
    })
  }

  /** @throws Error with code ECONNRESET if the connection closes before the body is complete */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    if (this.#head !== undefined) {
      const head = this.#head
      this.#head = undefined
      yield head
    }
    while (this.#left > 0) {
      yield await this.#read()
    }
  }

  /**
   * Reads the rest and throws it away, for at most `time` milliseconds. Closing a connection with unread bytes resets
   * it, and the client may lose the response.
   */
  async discard(time: number): Promise<void> {
    const timer = setTimeout(() => {
      this.#socket.destroy()
    }, time).unref()
    try {
      while (this.#left > 0) {
        await this.#read()
      }
    } catch {
      // the connection is gone
    } finally {
      clearTimeout(timer)
    }
  }

  async #read(): Promise<Uint8Array> {
    if (this.#failure !== undefined) {
      throw this.#failure
    }
    this.#next ??= Promise.withResolvers()
    this.#socket.resume()
    return await this.#next.promise
  }

  /** @returns whether to go on reading: no, the chunk in the buffer is used first */
  #received(length: number): boolean {
    this.#left -= length
    this.#next?.resolve(this.#buffer.subarray(0, length))
    this.#next = undefined
    return false
  }

  #fail(): void {
    if (this.#left > 0) {
      this.#failure ??= Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
      this.#next?.reject(this.#failure)
      this.#next = undefined
    }
  }
}

/** The part of Node's internals that the types do not know: the handle of a socket can read into a buffer of ours */
interface ReadingInto {
  _handle?: { useUserBuffer?: (buffer: Uint8Array) => void } | null
}

/** The private symbols under which Node keeps the buffer, the callback and the function that gives the next buffer */
const slots = Object.fromEntries(
  ['kBuffer', 'kBufferCb', 'kBufferGen'].map(name => [
    name,
    Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === name),
  ]),
)

/** Whether this version of Node has what {@link readInto} needs */
function readsInto(socket: Socket & ReadingInto): boolean {
  return (
    Object.values(slots).every(slot => slot !== undefined && slot in socket) &&
    typeof socket._handle?.useUserBuffer === 'function'
  )
}

/** Makes an accepted socket read into a buffer, as the option `onread` of `net.connect` does for others */
function readInto(socket: Socket & ReadingInto, buffer: () => Uint8Array, received: (length: number) => boolean): void {
  const first = buffer()
  Object.assign(socket, { [slots['kBuffer']!]: first, [slots['kBufferCb']!]: received, [slots['kBufferGen']!]: buffer })
  socket._handle?.useUserBuffer?.(first)
}
