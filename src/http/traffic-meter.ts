import type { IncomingMessage, ServerResponse } from 'node:http'
import { bodyBytes } from './bodies/http2.ts'

/** Between two looks at the requests that are under way; milliseconds */
const interval = 500

type Request = Pick<IncomingMessage, 'socket'>
type Response = Pick<ServerResponse, 'once'>

/** Counts the bytes of requests while they are under way, and not only at their end, which may be hours later */
export class TrafficMeter {
  /** Looks at each request that is under way */
  readonly #looks = new Set<() => void>()
  /** Bytes that were counted of each socket of HTTP/1, which has several requests, one after the other */
  readonly #counted = new WeakMap<object, number>()
  #timer: NodeJS.Timeout | undefined

  /** @param charge is called with the bytes since the last call, until the response is closed */
  measure(req: Request, res: Response, charge: (bytes: number) => void): void {
    const { socket } = req
    let countedOfBodies = 0
    const look = (): void => {
      const ofBodies = bodyBytes(req, res)
      const total =
        ofBodies === undefined ? socket.bytesRead + socket.bytesWritten : ofBodies.bytesIn + ofBodies.bytesOut
      const bytes = total - (ofBodies === undefined ? (this.#counted.get(socket) ?? 0) : countedOfBodies)
      if (ofBodies === undefined) {
        this.#counted.set(socket, total)
      } else {
        countedOfBodies = total
      }
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
