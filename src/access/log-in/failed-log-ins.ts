import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { clientKey } from '../../scheduling/client-key.ts'

/** Wrong passwords for one user from one client, and for all users from it, before the next one has to wait */
const maxFailures = { user: 20, client: 200 }
/** From the first failure on; milliseconds */
const period = 60_000
/** Of users and of clients; of more, those that failed for the longest time are forgotten, so that memory is bounded */
const maxRemembered = 50_000

/** Counts failed log-ins, so that passwords can't be guessed by trying; of an IPv6 client by its /64 */
export class FailedLogIns {
  /** Made with the first failure: they take memory for all that they may remember */
  #counts: { byUser: Count; byClient: Count } | undefined

  /** Milliseconds until a log-in may be tried; 0: now */
  wait(user: string, address: string): number {
    return this.#counts === undefined
      ? 0
      : Math.max(
          remaining(this.#counts.byUser, keyOf(user, address), maxFailures.user),
          remaining(this.#counts.byClient, clientKey(address), maxFailures.client),
        )
  }

  add(user: string, address: string): void {
    this.#counts ??= { byUser: newCount(), byClient: newCount() }
    increase(this.#counts.byUser, keyOf(user, address))
    increase(this.#counts.byClient, clientKey(address))
  }
}

type Count = LRUCache<string, number>

function newCount(): Count {
  return new LRUCache({ max: maxRemembered, ttl: period, noUpdateTTL: true })
}

function keyOf(user: string, address: string): string {
  // not a part of the name: that would keep all of the header in memory that it came in
  return `${clientKey(address)} ${createHash('sha256').update(user).digest('base64url')}`
}

function remaining(count: Count, key: string, max: number): number {
  return (count.get(key) ?? 0) >= max ? count.getRemainingTTL(key) : 0
}

function increase(count: Count, key: string): void {
  count.set(key, (count.get(key) ?? 0) + 1)
}
