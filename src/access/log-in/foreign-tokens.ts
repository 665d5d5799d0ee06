import { LRUCache } from 'lru-cache'
import type { AccessState } from '../files/access-files.ts'
import type { Identity } from '../rules/identity.ts'
import { foreignIdentity, type ForeignUser } from './holders.ts'
import { IssuerKeys, KeysUnavailableError, type IssuerKeysInit } from '../issuers/issuer-keys.ts'
import { ForeignTokenError, foreignUser, type Claims, type Issuer } from '../issuers/issuer.ts'
import type { Logger } from '../../log.ts'

/** None of them has a secret that the server would have to share */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** Seconds that the clock of an issuer may differ from ours */
const clockTolerance = 5
const maxTokenBytes = 32 * 1024
const maxVerifiedBytes = 4 * 1024 * 1024
/** Milliseconds for which a token is not verified again, whatever becomes of the keys of its issuer */
const rememberedFor = 60_000

/** Tells who shows a token of one of the issuers in the file with the rules */
export class ForeignTokens {
  readonly #log: Logger
  readonly #init: Omit<IssuerKeysInit, 'signal'>
  readonly #stopping = new AbortController()
  readonly #keys = new Map<string, IssuerKeys>()
  /** What tokens say whose signature was right less than a minute ago */
  readonly #verified = new LRUCache<string, { issuer: Issuer; user: ForeignUser }>({
    maxSize: maxVerifiedBytes,
    sizeCalculation: (_, token) => 2 * token.length,
  })

  constructor({ log }: { log: Logger }, init: Omit<IssuerKeysInit, 'signal'>) {
    this.#log = log
    this.#init = init
  }

  /** Ends fetches of keys */
  async stop(): Promise<void> {
    this.#stopping.abort()
  }

  /** The issuer that a text, if it is a token, claims to be of; undefined where it is none of the file */
  issuerOf({ issuers }: Pick<AccessState, 'issuers'>, text: string): Issuer | undefined {
    if (issuers.size === 0 || text.length > maxTokenBytes) {
      return undefined
    }
    const claimed = claimedIssuer(text)
    return claimed === undefined ? undefined : issuers.values().find(({ issuer }) => issuer === claimed)
  }

  /** @throws ForeignTokenError, or KeysUnavailableError */
  async identify(state: AccessState, issuer: Issuer, token: string, address: string | undefined): Promise<Identity> {
    const known = this.#verified.get(token)
    // another object is what the file says now
    const user = known?.issuer === issuer ? known.user : await this.#verify(state, issuer, token)
    return foreignIdentity(state, issuer, user, address)
  }

  async #verify(state: AccessState, issuer: Issuer, token: string): Promise<ForeignUser> {
    const claims = await this.claims(state, issuer, token, issuer.audience)
    const user = { ...foreignUser(issuer, claims), expires: claims.exp * 1000 }
    this.#verified.set(
      token,
      { issuer, user },
      { ttl: Math.max(1, Math.min(rememberedFor, user.expires - Date.now())) },
    )
    return user
  }

  /**
   * What a token says that an issuer signed for one of these audiences
   *
   * @throws ForeignTokenError, or KeysUnavailableError
   */
  async claims(
    state: AccessState,
    issuer: Issuer,
    token: string,
    audience: readonly string[],
  ): Promise<Claims & { exp: number }> {
    const { jwtVerify } = await import('jose')
    try {
      const { payload } = await jwtVerify(token, this.#keysOf(issuer, state).find, {
        algorithms,
        issuer: issuer.issuer,
        audience: [...audience],
        requiredClaims: ['exp'],
        clockTolerance,
      })
      return { ...payload, exp: payload.exp! }
    } catch (err) {
      if (err instanceof KeysUnavailableError) {
        throw err
      }
      throw new ForeignTokenError(reasonOf(err), { cause: err })
    }
  }

  #keysOf({ name, issuer, jwks }: Issuer, { issuers }: AccessState): IssuerKeys {
    const id = JSON.stringify([issuer, jwks])
    const known = this.#keys.get(id)
    if (known !== undefined) {
      return known
    }
    // those of issuers that have left the file
    const wanted = new Set(Array.from(issuers.values(), other => JSON.stringify([other.issuer, other.jwks])))
    for (const other of this.#keys.keys()) {
      wanted.has(other) || this.#keys.delete(other)
    }
    const made = new IssuerKeys(
      { log: this.#log },
      { name, issuer, jwks },
      { ...this.#init, signal: this.#stopping.signal },
    )
    this.#keys.set(id, made)
    return made
  }
}

/** `iss` of what may be a token, whoever signed it */
function claimedIssuer(text: string): string | undefined {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(text) ?? []
  if (payload === undefined) {
    return undefined
  }
  try {
    const { iss } = (JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) ?? {}) as { iss?: unknown }
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

/** Claims are looked at once the signature is right: nobody else learns what is wrong with them */
function reasonOf(err: unknown): string {
  const { code, claim } = err as { code?: string; claim?: string }
  if (code === 'ERR_JWT_EXPIRED') {
    return 'it has expired'
  }
  return code === 'ERR_JWT_CLAIM_VALIDATION_FAILED'
    ? `its claim ${claim} is wrong`
    : 'its signature is wrong, or by a key that is not known here'
}
