import type { IncomingMessage, ServerResponse } from 'node:http'
import { OciError } from '../oci/errors.ts'
import { setContentHeaders } from './content-headers.ts'
import { timeToLinger } from './bodies/late-body.ts'

/**
 * Errors as responses. `toClientError` decides what a client may know, an {@link ErrorBody} how it is written, and
 * `sendError` is the only function that sends an error. Which request gets which is decided by
 * middleware/error-handler.ts, and by server.ts for requests that reach no app.
 */

/** Writes an error as the body of a response */
export type ErrorBody = (error: OciError) => { type: string; body: string }

/** `{"errors":[{"code","message","detail"}]}`, as the distribution specification wants it */
export const ociBody: ErrorBody = ({ code, message, detail }) => {
  return {
    type: 'application/json',
    body: JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }),
  }
}

/** One line of plain text */
export const textBody: ErrorBody = error => ({
  type: 'text/plain; charset=utf-8',
  body: `${messageOf(error).replace(/[\r\n]+/g, ' ')}\n`,
})

/** `{"error":"<message>"}` */
export const jsonBody: ErrorBody = error => ({
  type: 'application/json',
  body: JSON.stringify({ error: messageOf(error) }),
})

/** Answers with an error; drops headers that were set for the response that is not sent */
export function sendError(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers }: OciError,
  { type, body }: ReturnType<ErrorBody>,
): void {
  for (const name of res.getHeaderNames()) {
    if (!keptHeaders.has(name)) {
      res.removeHeader(name)
    }
  }
  setContentHeaders(res)
  res.statusCode = status
  for (const [name, value] of Object.entries(headers)) {
    res.setHeader(name, value)
  }
  // not res.set(): it would add a charset, which JSON does not have
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  const lingerTime = timeToLinger(req, res)
  if (lingerTime === 0) {
    res.end(req.method === 'HEAD' ? undefined : body)
  } else {
    // res.end() closes the connection. If the body of the request is still coming in, that resets it, and the client
    // may lose the response: wait.
    res.write(body)
    const timer = setTimeout(() => {
      res.end()
    }, lingerTime).unref()
    req.once('close', () => {
      clearTimeout(timer)
      res.end()
    })
  }
}

/** Headers that fit an error too; the others describe the response that is not sent */
const keptHeaders = new Set([
  'x-request-id',
  'docker-distribution-api-version',
  'connection',
  // for browsers (middleware/browser-headers.ts)
  'cross-origin-opener-policy',
  'origin-agent-cluster',
  'referrer-policy',
  'strict-transport-security',
  'x-dns-prefetch-control',
  'x-download-options',
  'x-frame-options',
  'x-permitted-cross-domain-policies',
  'x-xss-protection',
])

/** The message of the code, and the reason in the detail, which says more */
function messageOf({ message, detail }: OciError): string {
  const reason = detail?.['reason']
  return typeof reason === 'string' ? `${message}: ${reason}` : message
}

/** What a client may know of an error: all of an OciError; of any other error only whether it is the client's fault */
export function toClientError(err: unknown): OciError {
  if ((err as Error | undefined)?.name === 'OciError') {
    return err as OciError
  }
  // Express throws errors with a status, as for a path that can't be decoded
  const status = (err as { status?: unknown } | undefined)?.status
  return new OciError(typeof status === 'number' && status >= 400 && status < 500 ? 'REQUEST_INVALID' : 'UNKNOWN', {
    cause: err,
  })
}
