import type { Socket } from 'node:net'
import type { OciError } from '../oci/errors.ts'
import { ClientLimit } from '../registry/client-limit.ts'

/** A connection beyond the limit is there only to be told so */
const surplusTime = 5000

/** Who is connected to a port, and who is one too many */
export class Connections {
  readonly #slots: ClientLimit
  readonly #open = new Set<Socket>()
  /** By {@link endOf}: of TLS and HTTP/2, a request knows another object as its socket */
  readonly #surplus = new Map<string, OciError>()

  constructor(init: { max: number; maxPerClient: number }) {
    this.#slots = new ClientLimit({ ...init, what: 'connections' })
  }

  add(socket: Socket): void {
    const end = endOf(socket)
    const refusal = this.#slots.refusal(socket.remoteAddress)
    if (refusal === undefined) {
      const slot = this.#slots.take(socket.remoteAddress)
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

  /** Why requests of a connection are refused; undefined: they are not */
  refusalOf(socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): OciError | undefined {
    return this.#surplus.size === 0 ? undefined : this.#surplus.get(endOf(socket))
  }

  destroy(): void {
    this.#open.forEach(socket => socket.destroy())
  }
}

function endOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress} ${remotePort}`
}
