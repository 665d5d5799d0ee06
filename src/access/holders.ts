/**
 * Whoever can log in, as one identity each, and whether he still can: tokens that were issued to him end when his
 * password changes or his key is revoked.
 */
import type { AccessState } from './access-files.ts'
import { isExpired, type ApiKey } from './api-keys.ts'
import { KeyRules } from './key-rules.ts'
import type { Identity } from './identity.ts'
import type { Decisions } from './rules.ts'
import { fingerprintOf, type AccessToken } from './tokens.ts'

const keyPrefix = 'key:'

export function userIdentity(state: AccessState, name: string, address: string | undefined): Identity {
  return { kind: 'user', name, groups: state.groupsOf(name), address }
}

export function keyIdentity({ name }: ApiKey, address: string | undefined): Identity {
  return { kind: 'key', name: `${keyPrefix}${name}`, groups: [], address }
}

/** Goes into the tokens of an identity; undefined for strangers */
export function fingerprintFor(state: AccessState, { kind, name }: Identity): string | undefined {
  const hash = kind === 'anonymous' ? undefined : secretHash(state, name)
  return hash === undefined ? undefined : fingerprintOf(hash)
}

/** To whom a token was issued; undefined where the password or key with which he got it is not valid any more */
export function holderOf(
  state: AccessState,
  { subject, fingerprint }: Pick<AccessToken, 'subject' | 'fingerprint'>,
  address: string | undefined,
): Identity | undefined {
  const hash = secretHash(state, subject)
  if (hash === undefined || fingerprintOf(hash) !== fingerprint) {
    return undefined
  }
  const key = keyOf(state, subject)
  return key === undefined ? userIdentity(state, subject, address) : keyIdentity(key, address)
}

/** What decides about an identity */
export function decisionsFor(state: AccessState, { kind, name }: Identity): Decisions {
  return kind === 'key'
    ? new KeyRules({ file: state.rules, key: keyOf(state, name) ?? { name, scopes: [] } })
    : state.rules
}

function secretHash(state: AccessState, name: string): string | undefined {
  if (!name.startsWith(keyPrefix)) {
    return state.passwords.get(name)
  }
  const key = keyOf(state, name)
  return key === undefined || isExpired(key) ? undefined : key.hash
}

function keyOf({ keys }: AccessState, name: string): ApiKey | undefined {
  return name.startsWith(keyPrefix) ? keys.get(name.slice(keyPrefix.length)) : undefined
}
