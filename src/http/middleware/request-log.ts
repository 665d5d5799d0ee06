import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { RequestHandler, Response } from 'express'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { bodyBytes } from '../bodies/http2.ts'
import { sourcesOf } from '../responses/provenance.ts'
import { callbackPath } from '../public-url.ts'

/** Gives each request an id; when it is over, logs it in one line and counts it in the metrics */
export function observeRequests({ log, metrics }: { log: Logger; metrics: Metrics }): RequestHandler {
  return (req, res, next) => {
    const started = performance.now()
    const { socket } = req
    // taken now: a connection that is closed has no address
    const { remoteAddress } = socket
    const id = requestId(req)
    res.locals.fields = { id }
    res.locals.started = started
    res.setHeader('X-Request-Id', id)

    res.on('close', () => {
      const seconds = (performance.now() - started) / 1000
      const { bytesIn, bytesOut } = bodyBytes(req, res) ?? newBytes(socket)
      const route = String(res.locals.route ?? 'none')
      const status = res.writableFinished ? String(res.statusCode) : 'aborted'
      metrics.requests.inc({ method: methodLabel(req.method), route, status })
      metrics.requestDuration.observe({ method: methodLabel(req.method), route }, seconds)
      metrics.receivedBytes.inc(bytesIn)
      metrics.sentBytes.inc(bytesOut)
      const fields = {
        ...logFields(res),
        method: req.method,
        url: req.originalUrl.startsWith(callbackPath) ? callbackPath : req.originalUrl,
        status,
        ms: Math.round(seconds * 1000),
        bytesIn,
        bytesOut,
        sources: sourcesOf(res),
        remote: remoteAddress,
        http: req.httpVersion,
        agent: req.get('User-Agent'),
      }
      if (route === 'health') {
        log.debug('request', fields)
      } else {
        log.info('request', fields)
      }
    })
    next()
  }
}

/** The one that a proxy in front of us gave it, where it is fit for a log */
function requestId({ headers }: IncomingMessage): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID()
}

/** Bytes that each connection had received and sent when its last request was over */
const countedBytes = new WeakMap<Socket, { received: number; sent: number }>()

/**
 * Bytes that a connection received and sent since the last call. The counts at the beginning of a request would be too
 * high: its first bytes have been read before the app gets it.
 */
function newBytes(socket: Socket): { bytesIn: number; bytesOut: number } {
  const { bytesRead: received, bytesWritten: sent } = socket
  const counted = countedBytes.get(socket)
  if (counted === undefined) {
    countedBytes.set(socket, { received, sent })
    return { bytesIn: received, bytesOut: sent }
  }
  const bytes = { bytesIn: received - counted.received, bytesOut: sent - counted.sent }
  Object.assign(counted, { received, sent })
  return bytes
}

/** Middleware that names the route of a request, for metrics and the audit log */
export function route(name: string): RequestHandler {
  return (req, res, next) => {
    res.locals.route = name
    res.locals.params = req.params
    next()
  }
}

/** Adds fields to the log line of a request */
export function addLogFields(res: Response, fields: Record<string, unknown>): void {
  Object.assign(res.locals.fields, fields)
}

/** The fields of a request for the log, such as its id */
export function logFields(res: Response): Record<string, unknown> {
  return res.locals.fields
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])

/** Clients can send any method: only known ones become a label, so that there are not endlessly many */
function methodLabel(method: string): string {
  return methods.has(method) ? method : 'other'
}
