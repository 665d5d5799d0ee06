import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Requests that a client may send ahead of the response it waits for; clients of registries send none */
const maxWaiting = 100

/**
 * Handles one request of a connection of HTTP/1 at a time. Node hands over as many as it has read, which may be a thousand in one piece, and a
 * response that is made before its turn waits in memory.
 */
export class Turns {
  readonly #app: RequestListener
  readonly #busy = new WeakMap<Duplex, { res: ServerResponse; waiting: Array<() => void> }>()

  constructor(app: RequestListener) {
    this.#app = app
  }

  /** The response that is under way on a connection */
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
