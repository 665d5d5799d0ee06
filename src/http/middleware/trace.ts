import type { IncomingHttpHeaders } from 'node:http'
import type { RequestHandler } from 'express'

/** What tells of the requests of this server where somebody collects traces */
export interface RequestTracer {
  begin: (request: { method: string; headers: IncomingHttpHeaders }) => RequestTrace
}

export interface RequestTrace {
  /** Runs what belongs to the request */
  run: (next: () => void) => void
  /** @param result.status undefined where the response was broken off */
  end: (result: { id: string; route: string; status: number | undefined }) => void
}

export function traceRequests(tracer: RequestTracer): RequestHandler {
  return (req, res, next) => {
    const request = tracer.begin(req)
    res.on('close', () => {
      const status = res.writableFinished ? res.statusCode : undefined
      request.end({ id: res.locals.fields.id, route: String(res.locals.route ?? 'none'), status })
    })
    request.run(next)
  }
}
