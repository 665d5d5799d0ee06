import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'

const second = 1000

export interface HttpServerComponents {
  app: RequestListener
}

/** Certificate chain and private key, PEM */
export interface TlsCertificate {
  cert: string
  key: string
}

export interface HttpServerInit {
  /** Undefined: plain HTTP */
  tls?: TlsCertificate | undefined
  host: string
  /** 0: any free port */
  port: number
  /** A connection on which nothing moves for this long in mid-request is closed; milliseconds */
  idleTimeout: number
  /** Requests that are under way at {@link HttpServer.stop} get this long to end; milliseconds */
  drainTimeout: number
}

export class HttpServer {
  readonly #server: Server
  readonly #init: HttpServerInit

  /** @throws Error of OpenSSL where the certificate and the key are none, or not of each other */
  constructor (components: HttpServerComponents, init: HttpServerInit) {
    this.#init = init
    const timeouts = {
      // an upload may take hours as long as it moves: the idle timeout guards it
      requestTimeout: 0,
      headersTimeout: 30 * second,
      keepAliveTimeout: 75 * second
    }
    this.#server = init.tls === undefined
      ? createServer(timeouts, components.app)
      : createTlsServer({ ...timeouts, ...init.tls, minVersion: 'TLSv1.2' }, components.app)
    this.#server.setTimeout(init.idleTimeout)
  }

  /** @throws Error with code EADDRINUSE or EACCES */
  async start (): Promise<void> {
    if (!this.#server.listening) {
      this.#server.listen({ host: this.#init.host, port: this.#init.port })
      await once(this.#server, 'listening')
    }
  }

  /** Takes no new connections, lets requests end within the drain timeout, then closes what is left */
  async stop (): Promise<void> {
    if (!this.#server.listening) {
      return
    }
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => { this.#server.closeAllConnections() }, this.#init.drainTimeout)
    // a connection whose request has ended since is kept alive by its client: close these too, until none is left
    const sweep = setInterval(() => { this.#server.closeIdleConnections() }, 50)
    try {
      await closed
    } finally {
      clearTimeout(timer)
      clearInterval(sweep)
    }
  }

  get address (): { host: string, port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }
}
