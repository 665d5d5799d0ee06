/**
 * Whoever can log in, as one identity each, and whether he still can: tokens that were issued to him end when his
 * password changes or his key is revoked.
 */
import type { AccessState } from '../files/access-files.ts'
import type { Credentials } from './authenticator.ts'
import { isExpired, type ApiKey } from '../files/api-keys.ts'
import { KeyRules } from './key-rules.ts'
import type { Identity } from '../rules/identity.ts'
import { issuerOfName, type Issuer } from '../issuers/issuer.ts'
import type { Decisions } from '../rules/rules.ts'
import { fingerprintOf, type AccessToken } from '../tokens/tokens.ts'

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
 * Who has a name, as tokens and the log have it; undefined where there is no such user or key
 *
 * @param groups that the issuer of a user tells of
 */
export function identityOf(
  state: AccessState,
  name: string,
  { address, groups = [] }: { address?: string | undefined; groups?: readonly string[] | undefined } = {},
): Identity | undefined {
  if (name.startsWith(certificatePrefix)) {
    return certificateIdentity(state, name.slice(certificatePrefix.length), address)
  }
  const issuer = issuerOfName(state.issuers, name)
  if (issuer !== undefined) {
    return foreignIdentity(state, issuer, { name, groups, expires: undefined }, address)
  }
  const key = keyOf(state, name)
  if (key !== undefined) {
    return keyIdentity(key, address)
  }
  return state.passwords.has(name) ? userIdentity(state, name, address) : undefined
}

/**
 * To whom a token was issued; undefined where the password or key with which he got it is not valid any more, his
 * issuer is not the same, or the certificate is not shown with it
 */
export function holderOf(
  state: AccessState,
  { subject, fingerprint, groups }: Pick<AccessToken, 'subject' | 'fingerprint' | 'groups'>,
  { address, certificate }: Pick<Credentials, 'address' | 'certificate'>,
): Identity | undefined {
  const identity = identityOf(state, subject, { address, groups })
  if (identity?.kind === 'certificate') {
    return certificate !== undefined && subject === `${certificatePrefix}${certificate}` ? identity : undefined
  }
  const secret = secretOf(state, subject)
  return secret !== undefined && fingerprintOf(secret) === fingerprint ? identity : undefined
}

/** When the key of an identity expires; milliseconds since 1970, or Infinity where it does not, or there is none */
export function keyExpiry(state: AccessState, { name }: Identity): number {
  const expires = keyOf(state, name)?.expires
  return expires === undefined ? Infinity : Date.parse(expires)
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
