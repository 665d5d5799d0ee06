import type { AccessState } from '../files/access-files.ts'
import type { Authenticated } from './authenticator.ts'

/** Characters of headers with tokens, and as many of what they say: clients may ask for tokens as large as they like */
const maxLength = 2 * 1024 * 1024

interface Remembered extends Authenticated {
  /** When the token, or the key that it was issued to, expires; milliseconds since 1970 */
  until: number
}

/**
 * To whom tokens belong that were shown lately, as a client shows the same one with each of its requests. This holds
 * for one state of the rules, passwords and keys: whatever of these changes, each token is looked at again.
 */
export class RememberedTokens {
  readonly #tokens = new Map<string, Remembered>()
  #state: AccessState | undefined
  #length = 0

  /** @param address from where the token is shown now */
  get(state: AccessState, authorization: string, address: string | undefined): Authenticated | undefined {
    const known = state === this.#state ? this.#tokens.get(authorization) : undefined
    if (known === undefined || known.until <= Date.now()) {
      return undefined
    }
    return known.identity.address === address ? known : { ...known, identity: { ...known.identity, address } }
  }

  add(state: AccessState, authorization: string, { identity, scopes }: Authenticated, until: number): void {
    if (state !== this.#state || this.#length + authorization.length > maxLength) {
      this.#tokens.clear()
      this.#state = state
      this.#length = 0
    }
    this.#length += authorization.length
    this.#tokens.set(authorization, { identity, scopes, until })
  }
}
