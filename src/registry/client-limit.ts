/**
 * Limits how many of something (uploads, connections, look-ups of names) clients hold at the same time, all together
 * and each of them. This is where 429 TOOMANYREQUESTS comes from.
 */
import { OciError } from '../oci/errors.ts'
import { clientKey } from '../scheduling/client-key.ts'

export interface ClientLimitInit {
  /** What is limited, for the message, such as `open uploads` */
  what: string
  /** Of all clients together; 0 means unlimited */
  max: number
  /** Of one client; 0 means unlimited */
  maxPerClient: number
}

/** Tells the client how many seconds to wait before it tries again */
const retryAfter = { 'Retry-After': '5' }

export class ClientLimit {
  readonly #init: ClientLimitInit
  readonly #taken = new Map<string, number>()
  #total = 0

  constructor(init: ClientLimitInit) {
    this.#init = init
  }

  get total(): number {
    return this.#total
  }

  /**
   * @param client its address; undefined: counts only towards the limit of all clients
   * @returns gives the place back when it is disposed of
   * @throws OciError TOOMANYREQUESTS where the client has reached its limit, UNAVAILABLE where all together have
   */
  take(client: string | undefined): Disposable {
    const refusal = this.refusal(client)
    if (refusal !== undefined) {
      throw refusal
    }
    return this.add(client)
  }

  /** Does the same as {@link take}, but succeeds even beyond the limits */
  add(client: string | undefined): Disposable {
    const key = client === undefined ? undefined : clientKey(client)
    this.#count(key, 1)
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (isHeld) {
          isHeld = false
          this.#count(key, -1)
        }
      },
    }
  }

  /** The error that {@link take} would throw */
  refusal(client: string | undefined): OciError | undefined {
    const { what, max, maxPerClient } = this.#init
    if (client !== undefined && maxPerClient > 0 && (this.#taken.get(clientKey(client)) ?? 0) >= maxPerClient) {
      return new OciError('TOOMANYREQUESTS', {
        detail: { reason: `more than ${maxPerClient} ${what} of one client` },
        headers: retryAfter,
      })
    }
    if (max > 0 && this.#total >= max) {
      return new OciError('UNAVAILABLE', { detail: { reason: `more than ${max} ${what}` }, headers: retryAfter })
    }
    return undefined
  }

  #count(key: string | undefined, difference: 1 | -1): void {
    this.#total += difference
    if (key === undefined) {
      return
    }
    const taken = (this.#taken.get(key) ?? 0) + difference
    taken === 0 ? this.#taken.delete(key) : this.#taken.set(key, taken)
  }
}
