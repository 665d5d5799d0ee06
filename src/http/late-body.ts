import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, type Http2Session } from 'node:http2'
import type { Readable } from 'node:stream'
import { Http2Request } from './http2.ts'

/**
 * What is left of a body after its response stands between that and the next request. It is read and thrown away, but not for ever: then the
 * connection is closed, or of HTTP/2 the stream.
 */
export function endLateBody(req: IncomingMessage | Http2Request, res: ServerResponse, ms: number): void {
  if (req instanceof Http2Request) {
    // not the response: it has finished only when its stream is closed
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
  } else {
    res.once('finish', () => {
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

/** Bodies whose rest is not even read in order to be thrown away */
const unread = new WeakSet<IncomingMessage | Http2Request>()
/** How long a client has to read its response, before the connection is closed on what it still sends */
const lingerTime = 2000
/** How long frames of HTTP/2 may take until they have left */
const timeToRead = 200

/**
 * From now on nothing of a body is read, and its connection closes after the response. To throw it away would take memory as well: each piece is
 * new to Node, and garbage for a long time. A client that reads no response before it has sent everything may see the connection reset instead.
 */
export function leaveUnread(req: IncomingMessage | Http2Request): void {
  unread.add(req)
}

/**
 * Throws away what is left of a body that nobody reads any more: it stands between the response and the next request. Over HTTP/2 the client of one
 * that is not even thrown away is told to stop (RFC 9113, section 8.1), and to make a new connection for the next request: one by TLS takes 200 KiB
 * once it has brought 64.
 */
export function discardBody(req: IncomingMessage | Http2Request): void {
  if (!unread.has(req)) {
    req.resume()
  } else if (req instanceof Http2Request) {
    const { stream } = req
    const { session } = stream
    // the frame that says so would overtake those of the response
    stream.once('finish', () => {
      breakOffLater(
        stream,
        () => {
          stream.close(constants.NGHTTP2_NO_ERROR)
          // else it stays until somebody reads what has come of it, as nobody will
          stream.destroy()
          closeSession(session)
        },
        timeToRead,
      )
    })
  }
}

/** Has no more requests come over a connection, and closes it once those that are under way have ended */
function closeSession(session: Http2Session | undefined): void {
  if (session === undefined || session.destroyed || session.closed) {
    return
  }
  // bound to the socket behind it, which the session no longer has once it is closed
  const { destroySoon } = session.socket
  session.once('close', () => {
    // until then, what comes is thrown away
    setTimeout(destroySoon, lingerTime).unref()
  })
  session.close()
}

/** How long a response has to wait for the end of a body before it may end the connection; 0: not at all */
export function timeToLinger(req: IncomingMessage, res: ServerResponse): number {
  if (req.complete || req instanceof Http2Request) {
    return 0
  }
  return unread.has(req) ? lingerTime : res.shouldKeepAlive ? 0 : (req.socket.timeout ?? 0)
}

/**
 * Waits until there is more to read of a stream, or no more
 *
 * @throws its error, or the reason of the signal
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
