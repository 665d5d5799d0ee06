import type { Identity } from '../access/rules/identity.ts'
import { OciError } from '../oci/errors.ts'
import { Allowance } from '../scheduling/allowance.ts'
import { clientKey } from '../scheduling/client-key.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute

/** 0 means unlimited */
export interface UsageLimitsInit {
  /** Within a minute */
  requestsPerUser: number
  requestsPerClient: number
  /** Received and sent, within an hour */
  bytesPerUser: number
  bytesPerClient: number
}

/** Whoever pays for what he does: a user or key, or the address of who shows no log-in */
export interface Account {
  id: string
  kind: 'user' | 'client'
}

/**
 * Limits what each user does, wherever he connects from, and each address without a log-in. So users behind one address
 * never wait for each other.
 */
export class UsageLimits {
  readonly #requests: Record<Account['kind'], Allowance | undefined>
  readonly #bytes: Record<Account['kind'], Allowance | undefined>

  constructor({ requestsPerUser, requestsPerClient, bytesPerUser, bytesPerClient }: UsageLimitsInit) {
    const each = (amount: number, period: number): Allowance | undefined =>
      amount === 0 ? undefined : new Allowance({ amount, period })
    this.#requests = { user: each(requestsPerUser, minute), client: each(requestsPerClient, minute) }
    this.#bytes = { user: each(bytesPerUser, hour), client: each(bytesPerClient, hour) }
  }

  /**
   * Counts a request
   *
   * @throws OciError TOOMANYREQUESTS
   */
  admit({ id, kind }: Account): void {
    const requests = this.#requests[kind]
    const waits = { requests: requests?.wait(id) ?? 0, bytes: this.#bytes[kind]?.wait(id) ?? 0 }
    const wait = Math.max(waits.requests, waits.bytes)
    if (wait > 0) {
      const what = waits.bytes > waits.requests ? 'bytes' : 'requests'
      const seconds = Math.ceil(wait / second)
      throw new OciError('TOOMANYREQUESTS', {
        message: `too many ${what} of one ${kind}: try again in ${seconds} s`,
        detail: { reason: `the limit of ${what} for one ${kind} is used up` },
        headers: { 'Retry-After': String(seconds) },
      })
    }
    requests?.take(id, 1)
  }

  /** Counts bytes, also where they are too many: that is paid for before the next request */
  charge({ id, kind }: Account, bytes: number): void {
    this.#bytes[kind]?.take(id, bytes)
  }
}

/** Undefined where nothing is limited, so that requests pay nothing for it */
export function usageLimits(init: UsageLimitsInit): UsageLimits | undefined {
  const { requestsPerUser, requestsPerClient, bytesPerUser, bytesPerClient } = init
  return [requestsPerUser, requestsPerClient, bytesPerUser, bytesPerClient].some(limit => limit > 0)
    ? new UsageLimits(init)
    : undefined
}

/** @param address where the request comes from */
export function accountOf({ kind, name }: Pick<Identity, 'kind' | 'name'>, address: string | undefined): Account {
  return kind === 'anonymous' ? { kind: 'client', id: clientKey(address ?? '') } : { kind: 'user', id: name }
}
