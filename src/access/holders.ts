/**
 * Whoever can log in, as one identity each, and whether he still can: tokens that were issued to him end when his
 * password changes or his key is revoked.
 */
import type { AccessState } from './access-files.ts'
import type { Credentials } from './authenticator.ts'
import { isExpired, type ApiKey } from './api-keys.ts'
import { KeyRules } from './key-rules.ts'
import type { Identity } from './identity.ts'
import { issuerOfName, type Issuer } from './issuer.ts'
import type { Decisions } from './rules.ts'
import { fingerprintOf, type AccessToken } from './tokens.ts'

const keyPrefix = 'key:'
const certificatePrefix = 'cert:'

/** What a token of an issuer says of who shows it */
export interface ForeignUser {
  /** With that of the issuer before it */
  name: string
  /** By the claims of the token, likewise */
  groups: readonly string[]
  /** When the token expires; milliseconds since 1970 */
  expires: number | undefined
}

export function userIdentity(state: AccessState, name: string, address: string | undefined): Identity {
  return { kind: 'user', name, groups: state.groupsOf(name), address }
}

export function keyIdentity({ name }: ApiKey, address: string | undefined): Identity {
  return { kind: 'key', name: `${keyPrefix}${name}`, groups: [], address }
}

export function foreignIdentity(
  state: AccessState,
  issuer: Pick<Issuer, 'name'>,
  { name, groups, expires }: ForeignUser,
  address: string | undefined,
): Identity {
  return {
    kind: 'user',
    name,
    groups: [...groups, ...state.groupsOf(name)],
    issuer: issuer.name,
    expires,
    address,
  }
}

export function certificateIdentity(state: AccessState, commonName: string, address: string | undefined): Identity {
  const name = `${certificatePrefix}${commonName}`
  return { kind: 'certificate', name, groups: state.groupsOf(name), address }
}

/** Goes into the tokens of an identity; undefined for strangers, and for who shows a certificate with each request */
export function fingerprintFor(state: AccessState, { kind, name }: Identity): string | undefined {
  const secret = kind === 'anonymous' || kind === 'certificate' ? undefined : secretOf(state, name)
  return secret === undefined ? undefined : fingerprintOf(secret)
}

/**
 * To whom a token was issued; undefined where the password or key with which he got it is not valid any more, his
 * issuer is not the same, or the certificate is not shown with it
 */
export function holderOf(
  state: AccessState,
  { subject, fingerprint, groups = [] }: Pick<AccessToken, 'subject' | 'fingerprint' | 'groups'>,
  { address, certificate }: Pick<Credentials, 'address' | 'certificate'>,
): Identity | undefined {
  if (subject.startsWith(certificatePrefix)) {
    const isShown = certificate !== undefined && subject === `${certificatePrefix}${certificate}`
    return isShown ? certificateIdentity(state, certificate, address) : undefined
  }
  const secret = secretOf(state, subject)
  if (secret === undefined || fingerprintOf(secret) !== fingerprint) {
    return undefined
  }
  const issuer = issuerOfName(state.issuers, subject)
  if (issuer !== undefined) {
    return foreignIdentity(state, issuer, { name: subject, groups, expires: undefined }, address)
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

/**
 * What has to stay as it is for tokens to stay valid: the hash of a password or key, or what the file says of an issuer
 */
function secretOf(state: AccessState, name: string): string | undefined {
  const issuer = issuerOfName(state.issuers, name)
  if (issuer !== undefined) {
    return JSON.stringify(issuer)
  }
  if (!name.startsWith(keyPrefix)) {
    return state.passwords.get(name)
  }
  const key = keyOf(state, name)
  return key === undefined || isExpired(key) ? undefined : key.hash
}

function keyOf({ keys }: AccessState, name: string): ApiKey | undefined {
  return name.startsWith(keyPrefix) ? keys.get(name.slice(keyPrefix.length)) : undefined
}
