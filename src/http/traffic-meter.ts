import type { IncomingMessage, ServerResponse } from 'node:http'
import { bodyBytes } from './http2.ts'

/** Between two looks at the requests that are under way; milliseconds */
const interval = 500

type Request = Pick<IncomingMessage, 'socket'>
type Response = Pick<ServerResponse, 'once'>

/** Counts the bytes of requests while they are under way, and not only at their end, which may be hours later */
export class TrafficMeter {
  /** Looks at each request that is under way */
  readonly #looks = new Set<() => void>()
  /** Bytes that were counted, by socket or request of HTTP/2: a socket has several requests, one after the other */
  readonly #counted = new WeakMap<object, number>()
  #timer: NodeJS.Timeout | undefined

  /** @param charge is called with the bytes since the last call, until the response is closed */
  measure(req: Request, res: Response, charge: (bytes: number) => void): void {
    const { socket } = req
    const look = (): void => {
      const ofBodies = bodyBytes(req, res)
      const counter = ofBodies === undefined ? socket : req
      const total =
        ofBodies === undefined ? socket.bytesRead + socket.bytesWritten : ofBodies.bytesIn + ofBodies.bytesOut
      const bytes = total - (this.#counted.get(counter) ?? 0)
      this.#counted.set(counter, total)
      if (bytes > 0) {
        charge(bytes)
      }
    }
    this.#looks.add(look)
    this.#timer ??= setInterval(() => {
      this.#looks.forEach(each => {
        each()
      })
    }, interval).unref()
    res.once('close', () => {
      look()
      this.#looks.delete(look)
      if (this.#looks.size === 0) {
        clearInterval(this.#timer)
        this.#timer = undefined
      }
    })
  }
}
