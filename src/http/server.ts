import { once } from 'node:events'
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { TlsCertificate } from './certificate.ts'
import { answerClientErrors } from './malformed-requests.ts'
import { Connections } from './connections.ts'
import { http2Options, limitIdleTime, type Http2Request, type Http2Response } from './http2.ts'
import { directBodyOptions, takeDirectBodies } from './direct-bodies.ts'
import { endLateBody } from './late-body.ts'
import { ociBody, sendError } from './error-response.ts'
import { Turns } from './turns.ts'

const second = 1000

export interface HttpServerComponents {
  app: RequestListener
}

export type HttpServerInit = HttpServerOptions &
  (
    | {
        host: string
        /** 0: any free port */
        port: number
      }
    | {
        /** Of a Unix socket */
        path: string
      }
  )

export interface HttpServerOptions {
  /** Undefined: plain HTTP */
  tls?: TlsCertificate | undefined
  /** A connection, or a stream of HTTP/2, on which nothing moves for this long in mid-request is closed; milliseconds */
  idleTimeout: number
  /** Requests that are under way at {@link HttpServer.stop} get this long to end; milliseconds */
  drainTimeout: number
  limits?: HttpLimits
}

/** 0 of a number stands for any */
export interface HttpLimits {
  /** Bytes of all headers of a request with its first line; 431 */
  headerBytes: number
  /** Of HTTP/2; one more is passed on, for the app to refuse */
  headerCount: number
  /** Milliseconds in which the headers of a request have to come; 408 */
  headerTimeout: number
  /** At a time, in all (503) and of one client (429); far beyond them, connections are closed without a word */
  connections: number
  connectionsPerClient: number
}

const defaultLimits: HttpLimits = {
  headerBytes: 32 * 1024,
  headerCount: 100,
  headerTimeout: 30 * second,
  connections: 0,
  connectionsPerClient: 0,
}

/** HTTP/1.1; with TLS also HTTP/2, where the client asks for it by ALPN */
export class HttpServer {
  readonly #server: Server | TlsServer
  readonly #init: HttpServerInit
  readonly #connections: Connections

  /** @throws Error of OpenSSL where the certificate and the key are none, or not of each other */
  constructor({ app }: HttpServerComponents, init: HttpServerInit) {
    const { idleTimeout, tls, limits = defaultLimits } = init
    this.#init = init
    this.#connections = new Connections({ max: limits.connections, maxPerClient: limits.connectionsPerClient })
    const turns = new Turns((req, res) => {
      const refusal = this.#connections.refusalOf(req.socket)
      endLateBody(req, res, idleTimeout)
      refusal === undefined ? app(req, res) : sendError(req, res, refusal, ociBody(refusal))
    })
    const handle: RequestListener = (req, res) => {
      turns.handle(req, res)
    }
    this.#server =
      tls === undefined
        ? createPlainServer(handle, { turns, idleTimeout, limits })
        : createTlsServer(handle, { idleTimeout, tls, limits })
    this.#server.setTimeout(idleTimeout)
    if (limits.connections > 0) {
      this.#server.maxConnections = limits.connections + Math.ceil(limits.connections / 10)
    }
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.add(socket)
    })
    this.#server.on('clientError', answerClientErrors(turns))
  }

  /** @throws Error with code EADDRINUSE or EACCES */
  async start(): Promise<void> {
    if (!this.#server.listening) {
      const init = this.#init
      this.#server.listen('path' in init ? { path: init.path } : { host: init.host, port: init.port })
      await once(this.#server, 'listening')
    }
  }

  /** For the connections that come from now on; those that are there stay as they are */
  setCertificate(certificate: TlsCertificate): void {
    if (!('setSecureContext' in this.#server)) {
      throw new Error('this server has no TLS')
    }
    this.#server.setSecureContext({ ...certificate, minVersion })
  }

  /** Takes no new connections, lets requests end within the drain timeout, then closes what is left */
  async stop(): Promise<void> {
    if (!this.#server.listening) {
      return
    }
    const closed = once(this.#server, 'close')
    // tells the clients of HTTP/2, too, that no more requests are taken
    this.#server.close()
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => {
      this.#connections.destroy()
    }, this.#init.drainTimeout)
    // a connection whose request has ended since is kept alive by its client: close these too, until none is left
    const sweep = setInterval(() => {
      this.#server.closeIdleConnections()
    }, 50)
    try {
      await closed
    } finally {
      clearTimeout(timer)
      clearInterval(sweep)
    }
  }

  /** Of a server that has one */
  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }
}

/** Of its HTTP/1 connections; the types do not know of it */
type TlsServer = Http2SecureServer<
  typeof IncomingMessage,
  typeof ServerResponse,
  typeof Http2Request,
  typeof Http2Response
> &
  Pick<Server, 'closeIdleConnections'>

const minVersion = 'TLSv1.2'

function http1Options({ headerBytes, headerTimeout }: HttpLimits): ServerOptions {
  return {
    // an upload may take hours as long as it moves: the idle timeout guards it
    requestTimeout: 0,
    headersTimeout: headerTimeout,
    connectionsCheckingInterval: Math.min(headerTimeout / 2, 5 * second),
    keepAliveTimeout: 75 * second,
    maxHeaderSize: headerBytes,
  }
}

function createPlainServer(
  app: RequestListener,
  { turns, idleTimeout, limits }: { turns: Turns; idleTimeout: number; limits: HttpLimits },
): Server {
  const server = createServer(
    { ...http1Options(limits), ...directBodyOptions(socket => turns.current(socket) !== undefined) },
    app,
  )
  takeDirectBodies(server, app, idleTimeout)
  return server
}

function createTlsServer(
  app: RequestListener,
  { tls, idleTimeout, limits }: { tls: TlsCertificate; idleTimeout: number; limits: HttpLimits },
): TlsServer {
  const server = createSecureServer({
    ...tls,
    ...http2Options(limits),
    minVersion,
    handshakeTimeout: limits.headerTimeout,
    allowHTTP1: true,
    http1Options: http1Options(limits),
  })
  server.on('session', session => {
    // its handshake was under way when the server stopped
    if (!server.listening) {
      session.close()
    }
  })
  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    limitIdleTime(req, idleTimeout)
    app(req, res)
  })
  return server as TlsServer
}
