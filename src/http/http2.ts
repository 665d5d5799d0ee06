import type { IncomingMessage, RequestListener } from 'node:http'
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { getDefaultHighWaterMark, type Readable, type ReadableOptions } from 'node:stream'
import express, { type Express } from 'express'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
/** What Node takes of headers by default. It resets a stream whose headers are longer; up to here, the app refuses them with a status. */
const leastHeaderListBytes = 65_535
/** What Node reads ahead of a body, in bytes: one piece, whatever its size; and of a blob, as Node does by default */
const narrow = 1
const wide = getDefaultHighWaterMark(false)

/** A request of HTTP/2 that behaves as one of HTTP/1 */
export class Http2Request extends Http2ServerRequest {
  /** Bytes of the body so far */
  bytesRead = 0

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: ReadableOptions,
    rawHeaders: readonly string[],
  ) {
    super(stream, headers, { ...options, highWaterMark: narrow }, rawHeaders)
    setHighWaterMark(stream, narrow)
    headers.host ??= headers[':authority']
    // Node's own would end the body; its listener comes after this one
    stream.prependOnceListener('aborted', () => {
      this.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
    })
  }

  override push(chunk: Uint8Array | null): boolean {
    this.bytesRead += chunk?.byteLength ?? 0
    return super.push(chunk)
  }

  /** As in HTTP/1, who does not read the body is not bothered */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    process.nextTick(() => {
      callback(this.listenerCount('error') === 0 ? null : error)
    })
  }
}

/** A response of HTTP/2 that behaves as one of HTTP/1 */
export class Http2Response extends Http2ServerResponse<Http2Request> {
  /** Bytes of the body so far */
  bytesWritten = 0
  /** One request does not stand in the way of the next one */
  readonly shouldKeepAlive = true

  static {
    Object.defineProperties(Http2Response.prototype, {
      closed: {
        get(this: Http2Response) {
          return this.stream.closed
        },
      },
      // Node ends the stream for us when it is broken off
      writableFinished: {
        get(this: Http2Response) {
          return this.stream.writableFinished && !this.stream.aborted
        },
      },
    })
  }

  override write(chunk: string | Uint8Array, ...more: unknown[]): boolean {
    this.bytesWritten += Buffer.byteLength(chunk)
    return super.write(chunk, ...(more as []))
  }
}

/**
 * What a session announces and allows. A stream's window is what its client may send ahead of us: of a manifest that nobody reads, and where a
 * slow disk makes an upload wait, in memory.
 */
export function http2Options({ headerBytes, headerCount }: { headerBytes: number; headerCount: number }) {
  return {
    Http2ServerRequest: Http2Request,
    Http2ServerResponse: Http2Response,
    settings: {
      initialWindowSize: 16 * kibibyte,
      maxFrameSize: 256 * kibibyte,
      maxConcurrentStreams: 128,
      enablePush: false,
      maxHeaderListSize: Math.max(headerBytes, leastHeaderListBytes),
    },
    // one more than is allowed is for the app to refuse; beside them there are :method, :path, :scheme and :authority
    maxHeaderListPairs: headerCount + 5,
    // megabytes; what waits to be sent counts, too, and a pull has up to 1 MiB of it: beyond this, new streams are refused
    maxSessionMemory: 256,
  }
}

const widened = new WeakSet<object>()

/**
 * What a client may send before anybody reads it is little at first, for each stream and for the connection, and so is what Node reads ahead. A blob
 * would wait for more most of the time. Other bodies fit, and so those of many clients that nobody reads take no more memory than that each.
 */
export function widenWindow(req: object): void {
  if (!(req instanceof Http2Request)) {
    return
  }
  const { stream } = req
  const { session } = stream
  setHighWaterMark(req, wide)
  setHighWaterMark(stream, wide)
  if (session !== undefined && !session.destroyed && !widened.has(session)) {
    widened.add(session)
    session.setLocalWindowSize(16 * mebibyte)
    // of the streams that are there as well
    session.settings({ initialWindowSize: mebibyte })
  }
}

/** Of a stream that is there already; Node takes no option for those of HTTP/2 */
function setHighWaterMark(stream: Readable, bytes: number): void {
  const { _readableState: state } = stream as Readable & { _readableState?: { highWaterMark: number } }
  if (state !== undefined) {
    state.highWaterMark = bytes
  }
}

/** An upload or download on which nothing moves for this long is broken off, and the other ones of its connection go on */
export function limitIdleTime(req: IncomingMessage | Http2Request, ms: number): void {
  if (req instanceof Http2Request) {
    const { stream } = req
    stream.setTimeout(ms, () => {
      stream.close(constants.NGHTTP2_CANCEL)
    })
  }
}

/** Requests of HTTP/2 share their connection: it is the bytes of their bodies that count. Undefined for HTTP/1 */
export function bodyBytes(req: object, res: object): { bytesIn: number; bytesOut: number } | undefined {
  return req instanceof Http2Request && res instanceof Http2Response
    ? { bytesIn: req.bytesRead, bytesOut: res.bytesWritten }
    : undefined
}

/** An app for requests of both versions: Express gives them prototypes of its own, which are made for HTTP/1 */
export function forBothVersions(app: Express): RequestListener {
  const forHttp2 = Object.create(app, {
    request: { value: Object.create(Http2Request.prototype, ownProperties(express.request, app.request)) },
    response: { value: Object.create(Http2Response.prototype, ownProperties(express.response, app.response)) },
  }) as Express & { handle: RequestListener }
  return (req: IncomingMessage | Http2Request, res) => {
    if (req instanceof Http2Request) {
      forHttp2.handle(req as never, res)
    } else {
      app(req, res)
    }
  }
}

function ownProperties(...objects: object[]): PropertyDescriptorMap {
  return Object.assign({}, ...objects.map(object => Object.getOwnPropertyDescriptors(object)))
}
