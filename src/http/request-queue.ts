import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** Requests that a client may send before the response to an earlier one (pipelining); registry clients send none */
const maxWaiting = 100

interface Queue {
  /** The response that is under way, if any */
  res: ServerResponse | undefined
  /** Begin the requests after it */
  waiting: Array<() => void>
}

/**
 * Handles the requests of an HTTP/1 connection one after the other. Node passes on every request that it has read,
 * which may be a thousand in one chunk, and their responses would wait in memory for those before them.
 */
export class RequestQueue {
  readonly #app: RequestListener
  readonly #queues = new WeakMap<Duplex, Queue>()

  constructor(app: RequestListener) {
    this.#app = app
  }

  /** The response that is under way on a connection, if any */
  current(socket: Duplex): ServerResponse | undefined {
    return this.#queues.get(socket)?.res
  }

  handle(req: IncomingMessage, res: ServerResponse): void {
    if (req.httpVersionMajor > 1) {
      this.#app(req, res)
      return
    }
    const { socket } = req
    const queue = this.#queueOf(socket)
    if (queue.res === undefined) {
      this.#start(req, res, queue)
    } else if (queue.waiting.length < maxWaiting) {
      queue.waiting.push(() => {
        this.#start(req, res, queue)
      })
    } else {
      socket.destroy()
    }
  }

  #queueOf(socket: Duplex): Queue {
    const known = this.#queues.get(socket)
    if (known !== undefined) {
      return known
    }
    const queue = { res: undefined, waiting: [] }
    this.#queues.set(socket, queue)
    return queue
  }

  #start(req: IncomingMessage, res: ServerResponse, queue: Queue): void {
    const { socket } = req
    queue.res = res
    res.on('close', () => {
      queue.res = undefined
      const next = queue.waiting.shift()
      if (next !== undefined && !socket.destroyed) {
        next()
      }
    })
    this.#app(req, res)
  }
}
