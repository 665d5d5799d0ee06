/**
 * Large bodies, straight from their connections. Node's parser passes a body on in pieces of 64 KiB, each in memory of its own that is garbage
 * soon after; that is half of the work of the main thread while a client pushes. A body of known length needs no parser: the rest of it is read
 * into one buffer, again and again. The connection is closed after the response, as its parser is gone.
 */
import { IncomingMessage, ServerResponse, type RequestListener, type Server, type ServerOptions } from 'node:http'
import { Socket } from 'node:net'

/** Below it, another connection would cost more than it saves */
const minLength = 16 * 1024 * 1024
/** Small enough for the cache of a processor, and half a millisecond of work */
const bufferSize = 256 * 1024

const bodies = new WeakMap<IncomingMessage, DirectBody>()

/** The body of a request, if it comes this way: each chunk is overwritten once the next one is asked for */
export function directBodyOf(req: IncomingMessage): AsyncIterable<Uint8Array> | undefined {
  return bodies.get(req)
}

/** What a server needs for {@link takeDirectBodies} */
export function directBodyOptions(isBusy: (socket: Socket) => boolean): ServerOptions {
  return {
    IncomingMessage: Http1Request,
    shouldUpgradeCallback: req => isLargeUpload(req) && readsInto(req.socket) && !isBusy(req.socket),
  }
}

/**
 * Has large uploads handled like any other request, with {@link directBodyOf} as their body
 *
 * @param lateTime in which the rest of a body has to come that nobody wants; milliseconds
 */
export function takeDirectBodies(server: Server, handle: RequestListener, lateTime: number): void {
  // Node ends its parser where a request is to go on in another protocol, and hands over the connection with what was read of it
  server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
    const res = new ServerResponse(req)
    res.shouldKeepAlive = false
    res.assignSocket(socket)
    socket.on('timeout', () => {
      socket.destroy()
    })
    // 'close' follows
    socket.on('error', () => {})
    const body = new DirectBody(socket, head, Number(req.headers['content-length']))
    bodies.set(req, body)
    // its own stream ended with the parser: whoever waits for that need not wait
    req.resume()
    res.once('finish', () => {
      void body.discard(lateTime).then(() => {
        socket.destroySoon()
      })
    })
    handle(req, res)
  })
}

/** Asks the server about each large upload whether it is to go on in another protocol */
class Http1Request extends IncomingMessage {
  declare asked: boolean | undefined
  declare decided: boolean | undefined

  get upgrade(): boolean {
    return this.decided ?? (this.asked === true || isLargeUpload(this))
  }

  /** Is set by Node to what the client asked for, and once the method is known to what the server decides */
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
  /** Bytes that have not come yet */
  #left: number
  #failure: Error | undefined
  #next: PromiseWithResolvers<Uint8Array> | undefined

  /** @param head what was read of it, less than all */
  constructor(socket: Socket, head: Uint8Array, length: number) {
    this.#socket = socket
    this.#head = head
    this.#left = length - head.byteLength
    readInto(
      socket,
      () => this.#buffer.subarray(0, Math.min(bufferSize, Math.max(1, this.#left))),
      length => this.#received(length),
    )
    // nothing is read until somebody waits for it
    socket.pause()
    // whoever ends the connection before the body does not wait for a response
    socket.once('end', () => {
      if (this.#left > 0) {
        socket.destroy()
      }
    })
    socket.once('close', () => {
      this.#fail()
    })
  }

  /** @throws Error with code ECONNRESET where the body breaks off */
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

  /** Reads what is left: unread it would reset the connection, and a response might be lost. Ends in time, however much has come. */
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

  /** @returns whether reading goes on at once */
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

/** A socket that is told at its creation to read into a buffer keeps it here; one that was accepted can't be told */
interface ReadingInto {
  _handle?: { useUserBuffer?: (buffer: Uint8Array) => void } | null
}

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

/** Does to a socket what the option `onread` of `net.connect` does */
function readInto(socket: Socket & ReadingInto, buffer: () => Uint8Array, received: (length: number) => boolean): void {
  const first = buffer()
  Object.assign(socket, { [slots['kBuffer']!]: first, [slots['kBufferCb']!]: received, [slots['kBufferGen']!]: buffer })
  socket._handle?.useUserBuffer?.(first)
}
