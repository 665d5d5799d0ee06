import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Requests that a client may send before the response to an earlier one (pipelining); registry clients send none */
const maxWaiting = 100

/**
 * Handles the requests of an HTTP/1 connection one after the other. Node passes on every request that it has read,
 * which may be a thousand in one chunk, and their responses would wait in memory for those before them.
 */
export class RequestQueue {
  readonly #app: RequestListener
  readonly #busy = new WeakMap<Duplex, { res: ServerResponse; waiting: Array<() => void> }>()

  constructor(app: RequestListener) {
    this.#app = app
  }

  /** The response that is under way on a connection, if any */
  current(socket: Duplex): ServerResponse | undefined {
    return this.#busy.get(socket)?.res
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    if (req.httpVersionMajor > 1) {
      this.#app(req, res)
      return
    }
    const { socket } = req
    const busy = this.#busy.get(socket)
    if (busy === undefined) {
      this.#start(req, res, [])
    } else if (busy.waiting.length < maxWaiting) {
      busy.waiting.push(() => {
        this.#start(req, res, busy.waiting)
      })
    } else {
      socket.destroy()
    }
  }

  #start(req: IncomingMessage, res: ServerResponse, waiting: Array<() => void>): void {
    const { socket } = req
    this.#busy.set(socket, { res, waiting })
    res.once('close', () => {
      const next = waiting.shift()
      if (next === undefined || socket.destroyed) {
        this.#busy.delete(socket)
      } else {
        next()
      }
    })
    this.#app(req, res)
  }
}
