import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { OciError, type OciErrorCode } from '../oci/errors.ts'
import { ociBody } from './error-response.ts'
import type { RequestQueue } from './request-queue.ts'

/** Codes of errors of Node's HTTP parser to codes of ours; every other one is REQUEST_INVALID */
const codes: Record<string, OciErrorCode> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'BODY_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
}

/**
 * For the event 'clientError' of a server: answers what Node's parser can't read as a request, or did not get in time.
 * The connection is closed, as it is unknown where the next request would begin.
 */
export function answerClientErrors(queue: RequestQueue): (err: NodeJS.ErrnoException, socket: Duplex) => void {
  const answered = new WeakSet<Duplex>()
  return (err, socket) => {
    if (answered.has(socket)) {
      return
    }
    answered.add(socket)
    const current = queue.current(socket)
    if (err.code === 'ECONNRESET' || !socket.writable || current?.headersSent === true) {
      socket.destroy()
      return
    }
    socket.end(responseOf(new OciError(codes[err.code ?? ''] ?? 'REQUEST_INVALID')), () => {
      socket.destroy()
    })
  }
}

function responseOf(error: OciError): string {
  const { type, body } = ociBody(error)
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    `Content-Type: ${type}`,
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
