import type { IncomingMessage, ServerResponse } from 'node:http'
import { OciError } from '../oci/errors.ts'
import { setContentHeaders } from './content-headers.ts'
import { timeToLinger } from './late-body.ts'

/** How an error looks in the body of a response */
export type ErrorBody = (error: OciError) => { type: string; body: string }

/** `{"errors":[{"code","message","detail"}]}`, as the specification has it */
export const ociBody: ErrorBody = ({ code, message, detail }) => {
  return {
    type: 'application/json',
    body: JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }),
  }
}

/** One line of text */
export const textBody: ErrorBody = error => ({
  type: 'text/plain; charset=utf-8',
  body: `${messageOf(error).replace(/[\r\n]+/g, ' ')}\n`,
})

/** `{"error":"<message>"}` */
export const jsonBody: ErrorBody = error => ({
  type: 'application/json',
  body: JSON.stringify({ error: messageOf(error) }),
})

/** Answers with an error instead of whatever was to be sent */
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
  // not by res.set(): it would add a charset, which JSON has not
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(body))
  const lingerTime = timeToLinger(req, res)
  if (lingerTime === 0) {
    res.end(req.method === 'HEAD' ? undefined : body)
  } else {
    // the end closes the connection: with a body still coming in that would be a reset, which can overtake the response
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

/** Headers that are right for an error too; the others describe what was not sent */
const keptHeaders = new Set(['x-request-id', 'docker-distribution-api-version', 'connection'])

/** What the detail gives as the reason says more than the message of the code */
function messageOf({ message, detail }: OciError): string {
  const reason = detail?.['reason']
  return typeof reason === 'string' ? `${message}: ${reason}` : message
}

/** What a client may know: an OciError as it is; of anything else only whether it was the client's fault */
export function toClientError(err: unknown): OciError {
  if ((err as Error | undefined)?.name === 'OciError') {
    return err as OciError
  }
  // of Express: a path that can't be decoded
  const status = (err as { status?: unknown } | undefined)?.status
  return new OciError(typeof status === 'number' && status >= 400 && status < 500 ? 'REQUEST_INVALID' : 'UNKNOWN', {
    cause: err,
  })
}
