import { createHash } from 'node:crypto'
import type { JWTPayload } from 'jose'
import { LRUCache } from 'lru-cache'
import type { Action } from '../rules/actions.ts'
import { anonymous } from '../rules/identity.ts'
import { ownIssuer } from '../issuers/issuer.ts'
import type { Scope } from '../rules/scopes.ts'
import { algorithm, type TokenKeys } from './token-keys.ts'

export const service = 'ipdr'
/** Seconds that a token is valid */
const maxLifetime = 300
/** Clients raise less to it */
const minLifetime = 60
const refreshLifetime = 90 * 24 * 3600
/** Of who logged in by a browser: a working day */
const sessionLifetime = 8 * 3600
/** In which somebody logs in at a provider */
export const ticketLifetime = 600
/** Of tokens whose signature need not be verified again; clients may ask for tokens as large as they like */
const maxVerifiedBytes = 8 * 1024 * 1024
/** Each request with a token is compared with that of its user, which seldom changes */
const fingerprints = new LRUCache<string, string>({ max: 1000 })
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

/** What a browser keeps while somebody logs in at the provider of an issuer */
export interface LogInTicket {
  /** Its name in the file */
  issuer: string
  /** Come back with the answer, and in the ID token */
  state: string
  nonce: string
  /** Of PKCE */
  verifier: string
  redirectUri: string
  /** Path of the page that is shown afterwards */
  to: string
}

/** What a token is for, beside the requests of registry clients: none counts as one of another kind */
type Kind = 'access' | 'refresh' | 'session' | 'log-in'

/** Issues and verifies the bearer tokens of this registry: JSON Web Tokens, signed with Ed25519 */
export class Tokens {
  readonly #keys: TokenKeys
  readonly #verified = new LRUCache<string, AccessToken & { expires: number }>({
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

  /**
   * For the browser of who logged in
   *
   * @param lifetime seconds
   */
  async issueSession(
    { subject, fingerprint, groups }: Omit<AccessToken, 'scopes'>,
    lifetime = sessionLifetime,
  ): Promise<string> {
    return await this.#sign({ pwd: fingerprint, groups }, subject, 'session', lifetime)
  }

  async issueTicket(ticket: LogInTicket, lifetime = ticketLifetime): Promise<string> {
    return await this.#sign({ ticket }, anonymous, 'log-in', lifetime)
  }

  /** @throws Error where it is none of ours, of another kind, or has expired */
  async verifyTicket(token: string): Promise<LogInTicket> {
    return (await this.#payloadOf(token, 'log-in'))['ticket'] as LogInTicket
  }

  /** @throws Error where it is none of ours, of another kind, or has expired */
  async verify(
    token: string,
    kind: 'access' | 'refresh' | 'session' = 'access',
  ): Promise<AccessToken & { expires: number }> {
    const key = `${kind} ${token}`
    const known = this.#verified.get(key)
    if (known !== undefined) {
      return known
    }
    const payload = await this.#payloadOf(token, kind)
    const found = {
      subject: payload.sub ?? anonymous,
      scopes: (payload['access'] ?? []) as readonly Scope[],
      fingerprint: payload['pwd'] as string | undefined,
      groups: payload['groups'] as readonly string[] | undefined,
      expires: payload.exp! * 1000,
    }
    this.#verified.set(key, found, { ttl: Math.max(1, found.expires - Date.now()) })
    return found
  }

  async #payloadOf(token: string, kind: Kind): Promise<JWTPayload> {
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
    return payload
  }

  async #sign(claims: Record<string, unknown>, subject: string, kind: Kind, lifetime: number): Promise<string> {
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

function audience(kind: Kind): string {
  return kind === 'access' ? service : `${service}-${kind}`
}

/** What of a password hash goes into a token: enough to see that it changed, too little to find the password by it */
export function fingerprintOf(hash: string): string {
  const known = fingerprints.get(hash)
  if (known !== undefined) {
    return known
  }
  const fingerprint = createHash('sha256').update(hash).digest('base64url').slice(0, 22)
  fingerprints.set(hash, fingerprint)
  return fingerprint
}

/** Whether a token that was issued for some scopes is for this */
export function covers(scopes: readonly Scope[], type: Scope['type'], name: string, action: Action): boolean {
  return scopes.some(scope => scope.type === type && scope.name === name && scope.actions.includes(action))
}
