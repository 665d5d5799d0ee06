import type { IncomingMessage } from 'node:http'
import {
  constants,
  Http2ServerRequest,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { getDefaultHighWaterMark, type Readable, type ReadableOptions } from 'node:stream'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
/** Node's default limit of headers. It resets a stream with more; up to here, the app can refuse them with a status. */
const leastHeaderListBytes = 65_535
/** Bytes of a body that Node reads ahead: at first a single chunk of any size, for a blob as many as by default */
const narrow = 1
const wide = getDefaultHighWaterMark(false)

/** A request of HTTP/2 that behaves like one of HTTP/1 */
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
    // before Node's own listener, which would end the body as if it were complete
    stream.prependOnceListener('aborted', () => {
      this.destroy(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
    })
  }

  override push(chunk: Uint8Array | null): boolean {
    this.bytesRead += chunk?.byteLength ?? 0
    return super.push(chunk)
  }

  /** As in HTTP/1, an error of a body that nothing reads is not thrown */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    process.nextTick(() => {
      callback(this.listenerCount('error') === 0 ? null : error)
    })
  }
}

/** A response of HTTP/2 that behaves like one of HTTP/1 */
export class Http2Response extends Http2ServerResponse<Http2Request> {
  /** Bytes of the body so far */
  bytesWritten = 0
  /** Requests of HTTP/2 do not wait for each other, so no response has to close the connection */
  readonly shouldKeepAlive = true

  static {
    Object.defineProperties(Http2Response.prototype, {
      closed: {
        get(this: Http2Response) {
          return this.stream.closed
        },
      },
      // Node also ends the stream of an aborted response, which then is not finished
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
 * Settings and limits of sessions. The window of a stream is what its client may send before the app reads it, so it
 * bounds the memory of a body that waits, for example while the disk is slow.
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
    // four for :method, :path, :scheme and :authority, and one too many, which the app refuses with a status
    maxHeaderListPairs: headerCount + 5,
    // megabytes, beyond which new streams are refused; what waits to be sent counts, up to 1 MiB for each pull
    maxSessionMemory: 256,
  }
}

const widened = new WeakSet<object>()

/**
 * Lets a client send more of its body before the app reads it. At first the windows of stream and connection, and what
 * Node reads ahead, are small, so that unread bodies of many clients take little memory. Manifests fit into that; a
 * blob would spend most of its time waiting for the window, so the routes of blobs widen it.
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
    // also widens the windows of the streams that exist already
    session.settings({ initialWindowSize: mebibyte })
  }
}

/** Changes an existing stream, because Node has no option for the streams of HTTP/2 */
function setHighWaterMark(stream: Readable, bytes: number): void {
  const { _readableState: state } = stream as Readable & { _readableState?: { highWaterMark: number } }
  if (state !== undefined) {
    state.highWaterMark = bytes
  }
}

/** Ends the stream of a request on which no byte moves for `ms`; other streams of the connection go on */
export function limitIdleTime(req: IncomingMessage | Http2Request, ms: number): void {
  if (req instanceof Http2Request) {
    const { stream } = req
    stream.setTimeout(ms, () => {
      stream.close(constants.NGHTTP2_CANCEL)
    })
  }
}

/**
 * Bytes of the bodies of a request and its response; undefined for HTTP/1, where those of the connection are counted
 */
export function bodyBytes(req: object, res: object): { bytesIn: number; bytesOut: number } | undefined {
  return req instanceof Http2Request && res instanceof Http2Response
    ? { bytesIn: req.bytesRead, bytesOut: res.bytesWritten }
    : undefined
}
