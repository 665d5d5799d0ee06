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
import { ClientCertificates } from './client-certificates.ts'
import { Connections } from './connections.ts'
import { http2Options, limitIdleTime, type Http2Request, type Http2Response } from './bodies/http2.ts'
import type { AppListener } from './express-listener.ts'
import { directBodyOptions, takeDirectBodies } from './bodies/direct-bodies.ts'
import { endLateBody } from './bodies/late-body.ts'
import { ociBody, sendError } from './error-response.ts'
import { RequestQueue } from './request-queue.ts'

const second = 1000

export interface HttpServerComponents {
  app: AppListener
}

export type HttpServerInit = HttpServerOptions &
  (
    | {
        host: string
        /** 0 means any free port */
        port: number
      }
    | {
        /** Path of a Unix socket */
        path: string
      }
  )

export interface HttpServerOptions {
  /** Undefined for plain HTTP */
  tls?: TlsCertificate | undefined
  /** Milliseconds without a byte after which a connection (or HTTP/2 stream) with an unfinished request is closed */
  idleTimeout: number
  /** Milliseconds for requests to end that are under way at {@link HttpServer.stop} */
  drainTimeout: number
  limits?: HttpLimits
}

/** Limits of every request; for connections, 0 means unlimited */
export interface HttpLimits {
  /** Bytes of the headers of a request with its request line; more get 431 */
  headerBytes: number
  /** Headers of a request over HTTP/2; one too many is passed on, for the app to refuse with a status */
  headerCount: number
  /** Milliseconds in which the headers of a request have to arrive; later ones get 408 */
  headerTimeout: number
  /** At a time: in total (more get 503) and of one client (429). Far more are closed without an answer. */
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

/** A port or Unix socket that speaks HTTP/1.1; with TLS also HTTP/2, if the client asks for it by ALPN */
export class HttpServer {
  readonly #server: Server | TlsServer
  readonly #init: HttpServerInit
  readonly #connections: Connections
  /** Undefined where no client is known by a certificate */
  readonly #clients: ClientCertificates | undefined

  /** @throws Error of OpenSSL if certificate or key are malformed, or do not belong together */
  constructor({ app }: HttpServerComponents, init: HttpServerInit) {
    const { idleTimeout, tls, limits = defaultLimits } = init
    this.#init = init
    this.#connections = new Connections({ max: limits.connections, maxPerClient: limits.connectionsPerClient })
    const queue = new RequestQueue((req, res) => {
      const refusal = this.#connections.refusalOf(req.socket)
      endLateBody(req, res, idleTimeout)
      refusal === undefined ? app(req, res) : sendError(req, res, refusal, ociBody(refusal))
    })
    this.#clients = tls?.clientCa === undefined ? undefined : new ClientCertificates(tls.clientCa)
    const handle: RequestListener = (req, res) => {
      this.#clients?.identify(req)
      queue.handle(req, res)
    }
    this.#server =
      tls === undefined
        ? createPlainServer(handle, { app, queue, idleTimeout, limits })
        : createTlsServer(handle, { idleTimeout, tls, limits })
    this.#server.setTimeout(idleTimeout)
    if (limits.connections > 0) {
      this.#server.maxConnections = limits.connections + Math.ceil(limits.connections / 10)
    }
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.add(socket)
      this.#clients?.add(socket)
    })
    this.#server.on('clientError', answerClientErrors(queue))
  }

  /** @throws Error with code EADDRINUSE or EACCES */
  async start(): Promise<void> {
    if (!this.#server.listening) {
      const init = this.#init
      this.#server.listen('path' in init ? { path: init.path } : { host: init.host, port: init.port })
      await once(this.#server, 'listening')
    }
  }

  /** Replaces the certificate for new connections; existing ones keep theirs */
  setCertificate(certificate: TlsCertificate): void {
    if (!('setSecureContext' in this.#server)) {
      throw new Error('this server has no TLS')
    }
    this.#server.setSecureContext({ ...secureOptions(certificate), minVersion })
    if (this.#clients !== undefined && certificate.clientCa !== undefined) {
      this.#clients.authority = certificate.clientCa
    }
  }

  /** Refuses new connections, lets requests end within the drain timeout, then closes the connections that are left */
  async stop(): Promise<void> {
    if (!this.#server.listening) {
      return
    }
    const closed = once(this.#server, 'close')
    // also tells the clients of HTTP/2 to send no more requests
    this.#server.close()
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => {
      this.#connections.destroy()
    }, this.#init.drainTimeout)
    // connections become idle when their last request ends, and clients keep them open: close those too
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

  /** Host and port on which it listens; not for a Unix socket */
  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }
}

/** Node's types leave out `closeIdleConnections`, which exists for the HTTP/1 connections of this server */
type TlsServer = Http2SecureServer<
  typeof IncomingMessage,
  typeof ServerResponse,
  typeof Http2Request,
  typeof Http2Response
> &
  Pick<Server, 'closeIdleConnections'>

const minVersion = 'TLSv1.2'

function secureOptions({ cert, key, clientCa }: TlsCertificate): { cert: string; key: string; ca?: string } {
  return { cert, key, ...(clientCa !== undefined && { ca: clientCa }) }
}

function http1Options({ headerBytes, headerTimeout }: HttpLimits): ServerOptions {
  return {
    // an upload may take hours; the idle timeout ends one that does not move
    requestTimeout: 0,
    headersTimeout: headerTimeout,
    connectionsCheckingInterval: Math.min(headerTimeout / 2, 5 * second),
    keepAliveTimeout: 75 * second,
    maxHeaderSize: headerBytes,
    // without a body, no stream of one has to be read to its end
    optimizeEmptyRequests: true,
  }
}

function createPlainServer(
  handle: RequestListener,
  {
    app,
    queue,
    idleTimeout,
    limits,
  }: { app: AppListener; queue: RequestQueue; idleTimeout: number; limits: HttpLimits },
): Server {
  const server = createServer(
    {
      ...http1Options(limits),
      ...directBodyOptions(socket => queue.current(socket) !== undefined),
      ...app.classes,
    },
    handle,
  )
  takeDirectBodies(server, handle, idleTimeout)
  return server
}

function createTlsServer(
  app: RequestListener,
  { tls, idleTimeout, limits }: { tls: TlsCertificate; idleTimeout: number; limits: HttpLimits },
): TlsServer {
  const server = createSecureServer({
    ...secureOptions(tls),
    // whoever shows no certificate, or a wrong one, can still log in otherwise
    requestCert: tls.clientCa !== undefined,
    rejectUnauthorized: false,
    ...http2Options(limits),
    minVersion,
    handshakeTimeout: limits.headerTimeout,
    allowHTTP1: true,
    http1Options: http1Options(limits),
  })
  server.on('session', session => {
    // the TLS handshake was under way when the server stopped
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
