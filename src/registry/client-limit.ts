import { isIPv6 } from 'node:net'
import { OciError } from '../oci/errors.ts'

export interface ClientLimitInit {
  /** What is counted, for the message, such as `uploads` */
  what: string
  /** In all; 0: any number */
  max: number
  /** Of one client; 0: any number */
  maxPerClient: number
}

/** Tells a client that it may come again: by then what it waits for has usually gone on */
const retryAfter = { 'Retry-After': '5' }

/** Counts what clients hold at a time, all together and each of them */
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
   * @param client its address; undefined: counts only among all
   * @returns what gives the slot back, once
   * @throws OciError TOOMANYREQUESTS where the client has as many as it may, UNAVAILABLE where all together have
   */
  take(client: string | undefined): Disposable {
    const refusal = this.refusal(client)
    if (refusal !== undefined) {
      throw refusal
    }
    return this.add(client)
  }

  /** As {@link take}, beyond all limits */
  add(client: string | undefined): Disposable {
    const key = client === undefined ? undefined : clientKey(client)
    this.#add(key, 1)
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (held) {
          held = false
          this.#add(key, -1)
        }
      },
    }
  }

  /** What {@link take} would throw */
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

  #add(key: string | undefined, difference: 1 | -1): void {
    this.#total += difference
    if (key === undefined) {
      return
    }
    const taken = (this.#taken.get(key) ?? 0) + difference
    taken === 0 ? this.#taken.delete(key) : this.#taken.set(key, taken)
  }
}

/** Who an address belongs to: of IPv6, everybody has the addresses of a whole /64 */
export function clientKey(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain) || plain.includes('.')) {
    return plain.replace(/^::ffff:/i, '')
  }
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const behind = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array<string>(8 - groups.length - behind.length).fill('0')
  return [...groups, ...zeros, ...behind]
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}
