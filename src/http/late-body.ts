import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import type { Readable } from 'node:stream'
import { Http2Request } from './http2.ts'

/**
 * What is left of a body after its response stands between that and the next request. It is read and thrown away, but not for ever: then the
 * connection is closed, or of HTTP/2 the stream.
 */
export function endLateBody (req: IncomingMessage | Http2Request, res: ServerResponse, ms: number): void {
  if (req instanceof Http2Request) {
    // not the response: it has finished only when its stream is closed
    const { stream } = req
    stream.once('finish', () => { breakOffLater(stream, () => { stream.close(constants.NGHTTP2_CANCEL) }, ms) })
  } else {
    res.once('finish', () => { breakOffLater(req, () => { req.socket.destroy() }, ms) })
  }
}

function breakOffLater (body: Readable, breakOff: () => void, ms: number): void {
  if (body.readableEnded || body.destroyed) {
    return
  }
  const timer = setTimeout(breakOff, ms).unref()
  for (const event of ['end', 'close']) {
    body.once(event, () => { clearTimeout(timer) })
  }
}
