import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2Session } from 'node:http2'
import type { Readable } from 'node:stream'
import { Http2Request } from './http2.ts'

/**
 * Limits how long the rest of a body may take after the response. It has to be read and thrown away, because the next
 * request of the connection comes after it. When the time is over, the connection is closed, or the stream of HTTP/2.
 */
export function endLateBody(req: IncomingMessage | Http2Request, res: ServerResponse, ms: number): void {
  if (req instanceof Http2Request) {
    // the event of the stream: the response of HTTP/2 only finishes when its stream is closed
    const { stream } = req
    stream.once('finish', () => {
      breakOffLater(
        stream,
        () => {
          stream.close(constants.NGHTTP2_CANCEL)
        },
        ms,
      )
    })
  } else if (!req.readableEnded) {
    res.on('finish', () => {
      breakOffLater(
        req,
        () => {
          req.socket.destroy()
        },
        ms,
      )
    })
  }
}

/** Bodies whose rest is not even read and thrown away */
const unread = new WeakSet<IncomingMessage | Http2Request>()
/** Milliseconds for a client to read its response, before the connection is closed while the client still sends */
const lingerTime = 2000
/** Milliseconds for frames of HTTP/2 to be sent */
const timeToRead = 200

/**
 * Has nothing more read of a body, and its connection closed after the response. This is for a server short of memory:
 * reading a body to throw it away takes memory too, as Node allocates each chunk and frees it late. A client that only
 * reads the response after it has sent everything may see the connection reset instead.
 */
export function leaveUnread(req: IncomingMessage | Http2Request): void {
  unread.add(req)
}

/**
 * After an error response: throws away the rest of a body, which comes before the next request. For a body that
 * {@link leaveUnread} was called for, HTTP/2 tells the client to stop sending (RFC 9113, section 8.1) and closes the
 * connection in an orderly way, because a TLS connection that has received 64 KiB keeps 200 KiB of memory.
 */
export function discardBody(req: IncomingMessage | Http2Request): void {
  if (!unread.has(req)) {
    req.resume()
  } else if (req instanceof Http2Request) {
    const { stream } = req
    const { session } = stream
    // later, because the frame that closes the stream would overtake those of the response
    stream.once('finish', () => {
      breakOffLater(
        stream,
        () => {
          stream.close(constants.NGHTTP2_NO_ERROR)
          // otherwise the stream keeps what it has received until something reads that
          stream.destroy()
          closeSession(session)
        },
        timeToRead,
      )
    })
  }
}

/** Refuses further requests on a connection, and closes it once those that are under way have ended */
function closeSession(session: Http2Session | undefined): void {
  if (session === undefined || session.destroyed || session.closed) {
    return
  }
  // taken now: once the session is closed, it no longer has its socket
  const { destroySoon } = session.socket
  session.once('close', () => {
    // later, so that the client has time to read its response
    setTimeout(destroySoon, lingerTime).unref()
  })
  session.close()
}

/**
 * Milliseconds that an error response waits for the end of the body before it closes the connection; 0 means not at all
 */
export function timeToLinger(req: IncomingMessage, res: ServerResponse): number {
  if (req.complete || req instanceof Http2Request) {
    return 0
  }
  return unread.has(req) ? lingerTime : res.shouldKeepAlive ? 0 : (req.socket.timeout ?? 0)
}

/**
 * Waits until a stream has something to read, or has ended
 *
 * @throws the error of the stream, or the reason of the signal
 */
export async function changeOf(stream: Readable, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const change = (): void => {
    resolve()
  }
  const abort = (): void => {
    reject(signal.reason as Error)
  }
  const events = ['readable', 'end', 'close'] as const
  events.forEach(event => stream.on(event, change))
  stream.on('error', reject)
  signal.addEventListener('abort', abort)
  try {
    await promise
  } finally {
    events.forEach(event => stream.off(event, change))
    stream.off('error', reject)
    signal.removeEventListener('abort', abort)
  }
}

function breakOffLater(body: Readable, breakOff: () => void, ms: number): void {
  if (body.readableEnded || body.destroyed) {
    return
  }
  const timer = setTimeout(breakOff, ms).unref()
  for (const event of ['end', 'close']) {
    body.once(event, () => {
      clearTimeout(timer)
    })
  }
}
