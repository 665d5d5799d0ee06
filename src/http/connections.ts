import type { Socket } from 'node:net'
import type { OciError } from '../oci/errors.ts'
import { ClientLimit } from '../registry/client-limit.ts'

/** Milliseconds for which a connection beyond the limit stays open, to get the response that says so */
const surplusTime = 5000

/** The connections of a port, and which of them are beyond the limits */
export class Connections {
  readonly #slots: ClientLimit
  readonly #open = new Set<Socket>()
  /** By {@link endOf} and not by socket: with TLS or HTTP/2, a request has another object as its socket */
  readonly #surplus = new Map<string, OciError>()

  constructor(init: { max: number; maxPerClient: number }) {
    this.#slots = new ClientLimit({ ...init, what: 'connections' })
  }

  add(socket: Socket): void {
    const end = endOf(socket)
    const refusal = this.#slots.refusal(socket.remoteAddress)
    if (refusal === undefined) {
      const slot = this.#slots.add(socket.remoteAddress)
      socket.once('close', () => {
        slot[Symbol.dispose]()
      })
    } else {
      this.#surplus.set(end, refusal)
      const timer = setTimeout(() => {
        socket.destroy()
      }, surplusTime)
      socket.once('close', () => {
        clearTimeout(timer)
        this.#surplus.delete(end)
      })
    }
    this.#open.add(socket)
    socket.once('close', () => {
      this.#open.delete(socket)
    })
  }

  /** Why requests of a connection are refused; undefined if they are not */
  refusalOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): OciError | undefined {
    return this.#surplus.size === 0 ? undefined : this.#surplus.get(endOf(socket))
  }

  destroy(): void {
    this.#open.forEach(socket => socket.destroy())
  }
}

/** What tells a connection from others, also by the socket of a request */
export function endOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`
}
