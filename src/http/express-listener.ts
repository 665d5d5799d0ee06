import { type IncomingMessage, ServerResponse, type RequestListener } from 'node:http'
import express, { type Express, type Request, type Response } from 'express'
import { Http1Request } from './bodies/direct-bodies.ts'
import { Http2Request, Http2Response } from './bodies/http2.ts'

/** What handles requests */
export interface AppListener extends RequestListener {
  /** Of what a server of HTTP/1 makes requests and responses; others work too, but take longer */
  classes?: { IncomingMessage: typeof IncomingMessage; ServerResponse: typeof ServerResponse }
}

/**
 * Gives requests and responses of both versions what Express has for them. Express derives the prototype of each from
 * that of HTTP/1; those of HTTP/2 get prototypes with the same properties, derived from HTTP/2.
 *
 * To change the prototype of a request takes as long as all middleware together, so HTTP/1 servers are told to make
 * them with the right one from the beginning.
 *
 * @param app whose settings they go by; it handles nothing itself
 */
export function forBothVersions(app: Express, handle: (req: Request, res: Response) => void): AppListener {
  const [request, response] = [
    ownProperties(express.request, app.request),
    ownProperties(express.response, app.response),
  ]
  class ExpressRequest extends Http1Request {}
  class ExpressResponse<R extends IncomingMessage> extends ServerResponse<R> {}
  const http1 = {
    request: Object.defineProperties(ExpressRequest.prototype, request),
    response: Object.defineProperties(ExpressResponse.prototype, response),
  }
  const http2 = {
    request: Object.create(Http2Request.prototype, request) as object,
    response: Object.create(Http2Response.prototype, response) as object,
  }
  const listener: RequestListener = (req: IncomingMessage | Http2Request, res) => {
    if (!(req instanceof ExpressRequest && res instanceof ExpressResponse)) {
      const prototypes = req instanceof Http2Request ? http2 : http1
      Object.setPrototypeOf(req, prototypes.request)
      Object.setPrototypeOf(res, prototypes.response)
    }
    const [ours, answer] = [req as Request, res as unknown as Response]
    ours.res = answer
    ours.originalUrl = req.url ?? ''
    answer.locals = {}
    handle(ours, answer)
  }
  return Object.assign(listener, { classes: { IncomingMessage: ExpressRequest, ServerResponse: ExpressResponse } })
}

function ownProperties(...objects: object[]): PropertyDescriptorMap {
  return Object.assign({}, ...objects.map(object => Object.getOwnPropertyDescriptors(object)))
}
