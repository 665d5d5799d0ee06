import type { ErrorRequestHandler } from 'express'
import type { OciErrorCode } from '../../oci/errors.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { type ErrorBody, ociBody, sendError, toClientError } from '../error-response.ts'
import { discardBody } from '../bodies/late-body.ts'
import { logFields } from './request-log.ts'

/** Not errors of the server: clients can cause them as often as they like */
const warnings = new Set<OciErrorCode>(['LOOP_DETECTED', 'UNAVAILABLE', 'UPSTREAM_INVALID'])

/** The last middleware: logs what went wrong with a request and answers it, for every route in the same way */
export function errorHandler(
  { log, metrics }: { log: Logger; metrics: Metrics },
  bodyOf: ErrorBody = ociBody,
): ErrorRequestHandler {
  return (err: unknown, req, res, _next) => {
    const error = toClientError(err)
    if (req.socket.destroyed) {
      log.debug('client gone', { ...logFields(res), err })
      return
    }
    if (error.status >= 500) {
      log[warnings.has(error.code) ? 'warn' : 'error']('request failed', { ...logFields(res), err })
    }
    if (res.headersSent) {
      metrics.brokenResponses.inc()
      // over HTTP/2 this ends the stream, not the connection
      res.destroy(error)
      return
    }
    sendError(req, res, error, bodyOf(error))
    // the next request of the connection comes after the rest of this body
    discardBody(req)
  }
}
