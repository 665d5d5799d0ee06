import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:http2'
import { Http2Request } from './http2.ts'

/**
 * What is left of a body after its response stands between that and the next request. It is read and thrown away, but not for ever: then the
 * connection is closed, or of HTTP/2 the stream.
 */
export function endLateBody (req: IncomingMessage | Http2Request, res: ServerResponse, ms: number): void {
  res.once('finish', () => {
    if (req.complete) {
      return
    }
    const timer = setTimeout(() => { breakOff(req) }, ms).unref()
    for (const event of ['end', 'close']) {
      req.once(event, () => { clearTimeout(timer) })
    }
  })
}

function breakOff (req: IncomingMessage | Http2Request): void {
  if (req instanceof Http2Request) {
    req.stream.close(constants.NGHTTP2_CANCEL)
  } else {
    req.socket.destroy()
  }
}
