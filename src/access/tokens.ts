import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Action } from './actions.ts'
import { anonymous } from './identity.ts'
import { ownIssuer } from './issuer.ts'
import type { Scope } from './scopes.ts'
import { algorithm, type TokenKeys } from './token-keys.ts'

export const service = 'ipdr'
/** Seconds that a token is valid */
const maxLifetime = 300
/** Clients raise less to it */
const minLifetime = 60
const refreshLifetime = 90 * 24 * 3600
/** Of tokens whose signature need not be verified again; clients may ask for tokens as large as they like */
const maxVerifiedBytes = 8 * 1024 * 1024
/** A token of a hundred scopes has some 30 kB */
const maxTokenBytes = 64 * 1024

export interface AccessToken {
  /** User name, `<issuer>:<name>`, `key:<name>`, or `anonymous` */
  subject: string
  /** What it was issued for; it allows nothing beside */
  scopes: readonly Scope[]
  /** Of the hash of the user's password, or of the key, when it was issued: another one ends it */
  fingerprint: string | undefined
  /** That an issuer's token told of; ours are those of the file */
  groups?: readonly string[] | undefined
}

/** Issues and verifies the bearer tokens of this registry: JSON Web Tokens, signed with Ed25519 */
export class Tokens {
  readonly #keys: TokenKeys
  readonly #verified = new LRUCache<string, AccessToken>({
    maxSize: maxVerifiedBytes,
    // of the token, and of what it says
    sizeCalculation: (_, token) => 2 * token.length,
  })

  constructor({ keys }: { keys: TokenKeys }) {
    this.#keys = keys
  }

  /** @param lifetime - seconds */
  async issue({ subject, scopes, fingerprint, groups }: AccessToken, lifetime = maxLifetime): Promise<string> {
    return await this.#sign({ access: scopes, pwd: fingerprint, groups }, subject, 'access', lifetime)
  }

  /** For whoever wants to get tokens without keeping the password */
  async issueRefresh(subject: string, fingerprint: string): Promise<string> {
    return await this.#sign({ pwd: fingerprint }, subject, 'refresh', refreshLifetime)
  }

  /** @throws Error where it is none of ours, of the other kind, or has expired */
  async verify(token: string, kind: 'access' | 'refresh' = 'access'): Promise<AccessToken> {
    const key = `${kind} ${token}`
    const known = this.#verified.get(key)
    if (known !== undefined) {
      return known
    }
    if (token.length > maxTokenBytes) {
      throw new Error('longer than any token of ours')
    }
    const { jwtVerify } = await import('jose')
    const { payload } = await jwtVerify(token, async ({ kid }) => await this.#keys.publicKey(kid), {
      algorithms: [algorithm],
      issuer: ownIssuer,
      audience: audience(kind),
      requiredClaims: ['exp', 'sub'],
    })
    const found = {
      subject: payload.sub ?? anonymous,
      scopes: (payload['access'] ?? []) as readonly Scope[],
      fingerprint: payload['pwd'] as string | undefined,
      groups: payload['groups'] as readonly string[] | undefined,
    }
    this.#verified.set(key, found, { ttl: Math.max(1, payload.exp! * 1000 - Date.now()) })
    return found
  }

  async #sign(
    claims: Record<string, unknown>,
    subject: string,
    kind: 'access' | 'refresh',
    lifetime: number,
  ): Promise<string> {
    const { SignJWT } = await import('jose')
    const { kid, key } = await this.#keys.newest()
    return await new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, kid, typ: 'JWT' })
      .setSubject(subject)
      .setIssuer(ownIssuer)
      .setAudience(audience(kind))
      .setIssuedAt()
      .setExpirationTime(`${lifetime}s`)
      .sign(key)
  }
}

/**
 * Seconds that a token is valid for somebody whose own log-in ends
 *
 * @param expires - milliseconds since 1970; undefined: it does not end
 */
export function lifetimeUntil(expires: number | undefined): number {
  const left = expires === undefined ? maxLifetime : Math.floor((expires - Date.now()) / 1000)
  return Math.max(minLifetime, Math.min(maxLifetime, left))
}

function audience(kind: 'access' | 'refresh'): string {
  return kind === 'access' ? service : `${service}-refresh`
}

/** What of a password hash goes into a token: enough to see that it changed, too little to find the password by it */
export function fingerprintOf(hash: string): string {
  return createHash('sha256').update(hash).digest('base64url').slice(0, 22)
}

/** Whether a token that was issued for some scopes is for this */
export function covers(scopes: readonly Scope[], type: Scope['type'], name: string, action: Action): boolean {
  return scopes.some(scope => scope.type === type && scope.name === name && scope.actions.includes(action))
}
