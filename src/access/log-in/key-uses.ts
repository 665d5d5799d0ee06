import { LRUCache } from 'lru-cache'
import type { ApiKey } from '../files/api-keys.ts'

const maxRemembered = 10_000

/** When API keys were last shown, since the server started; a token that was issued for one counts with its issue */
export class KeyUses {
  /** By hash: another key may get the name */
  readonly #uses = new LRUCache<string, number>({ max: maxRemembered })

  note({ hash }: Pick<ApiKey, 'hash'>): void {
    this.#uses.set(hash, Date.now())
  }

  /** @returns ISO 8601; undefined where it was not used since the server started */
  last({ hash }: Pick<ApiKey, 'hash'>): string | undefined {
    const time = this.#uses.get(hash)
    return time === undefined ? undefined : new Date(time).toISOString()
  }
}
