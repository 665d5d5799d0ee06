import { ClientLimit } from '../client-limit.ts'

/** An upload that was silent for this long makes room for another one, where there is none: its client has most likely gone */
const silence = 60 * 60 * 1000

export interface UploadLimitInit {
  /** Open uploads in all; 0: any number */
  max: number
  /** Of one client; 0: any number */
  maxPerClient: number
}

interface Slot {
  held: Disposable
  client: string | undefined
  /** When somebody last asked for the upload; milliseconds of the epoch */
  used: number
  /** Requests that are at it */
  requests: number
}

/** Which uploads are open and whose they are; which one may go where there are too many */
export class UploadLimit {
  readonly #slots: ClientLimit
  readonly #open = new Map<string, Slot>()

  constructor(init: UploadLimitInit) {
    this.#slots = new ClientLimit({ ...init, what: 'open uploads' })
  }

  /** An upload that was open before the server started: nobody knows whose it is */
  found(id: string, used: number): void {
    this.#open.set(id, { held: this.#slots.add(undefined), client: undefined, used, requests: 0 })
  }

  /** @throws OciError TOOMANYREQUESTS or UNAVAILABLE where there are too many */
  open(id: string, client: string | undefined): void {
    this.#open.set(id, { held: this.#slots.take(client), client, used: Date.now(), requests: 0 })
  }

  /** Whoever holds the result is at the upload */
  use(id: string): Disposable {
    const slot = this.#open.get(id)
    if (slot !== undefined) {
      slot.requests++
    }
    return {
      [Symbol.dispose]: () => {
        if (slot !== undefined) {
          slot.requests--
          slot.used = Date.now()
        }
      },
    }
  }

  close(id: string): void {
    this.#open.get(id)?.held[Symbol.dispose]()
    this.#open.delete(id)
  }

  /** The upload that has to go before the client may have another one; undefined: none has to, or none may */
  silent(client: string | undefined): string | undefined {
    const refusal = this.#slots.refusal(client)
    const before = Date.now() - silence
    if (refusal === undefined) {
      return undefined
    }
    for (const [id, slot] of this.#open) {
      if (slot.requests === 0 && slot.used < before && (refusal.code === 'UNAVAILABLE' || slot.client === client)) {
        return id
      }
    }
    return undefined
  }
}
