import { OciError } from '../../oci/errors.ts'
import type { AccessState } from '../files/access-files.ts'
import { isKeySecret } from '../files/api-keys.ts'
import type { FailedLogIns } from './failed-log-ins.ts'
import type { ForeignTokens } from './foreign-tokens.ts'
import { certificateIdentity, holderOf, keyExpiry, keyIdentity, userIdentity } from './holders.ts'
import type { Issuer } from '../issuers/issuer.ts'
import type { PasswordCheck } from '../files/htpasswd.ts'
import { anonymous, anonymousFrom, type Identity } from '../rules/identity.ts'
import type { KeyUses } from './key-uses.ts'
import type { AccessObserver } from '../rules/observer.ts'
import { RememberedTokens } from './remembered-tokens.ts'
import type { Scope } from '../rules/scopes.ts'
import type { Tokens } from '../tokens/tokens.ts'

const second = 1000
const maxHeaderBytes = 64 * 1024
const noSuchKey = 'this key is unknown, has expired or was revoked'

export interface Authenticated {
  identity: Identity
  /** What the token was issued for; undefined where the client showed a password or nothing */
  scopes?: readonly Scope[] | undefined
}

export interface AuthenticatorComponents {
  passwords: PasswordCheck
  tokens: Tokens
  foreign: ForeignTokens
  failures: FailedLogIns
  /** Is told of each key that is shown */
  keyUses?: Pick<KeyUses, 'note'> | undefined
}

/** What a client shows of itself */
export interface Credentials {
  authorization: string | undefined
  /** IP address */
  address: string | undefined
  /** Name in the certificate of the client, where it has one that counts */
  certificate?: string | undefined
  /** What the browser of somebody keeps who has logged in */
  session?: string | undefined
  challenge: Challenge
  observer?: AccessObserver | undefined
}

export type Challenge = (scope?: string, error?: string) => Record<string, string | string[]>

/** Finds out who asks: by what stands in `Authorization`, else by a session, else by a certificate */
export class Authenticator {
  readonly #passwords: PasswordCheck
  readonly #tokens: Tokens
  readonly #foreign: ForeignTokens
  readonly #failures: FailedLogIns
  readonly #keyUses: AuthenticatorComponents['keyUses']
  readonly #remembered = new RememberedTokens()

  constructor({ passwords, tokens, foreign, failures, keyUses }: AuthenticatorComponents) {
    this.#passwords = passwords
    this.#tokens = tokens
    this.#foreign = foreign
    this.#failures = failures
    this.#keyUses = keyUses
  }

  /** Who shows a token of ours that was authenticated before and still counts; undefined: {@link authenticate} tells */
  remembered(state: AccessState, { address, authorization }: Credentials): Authenticated | undefined {
    return authorization === undefined ? undefined : this.#remembered.get(state, authorization, address)
  }

  /** @throws OciError UNAUTHORIZED with the challenge, or TOOMANYREQUESTS */
  async authenticate(state: AccessState, credentials: Credentials): Promise<Authenticated> {
    const { authorization, challenge } = credentials
    if (authorization === undefined || authorization.trim() === '') {
      return { identity: (await this.#bySession(state, credentials)) ?? unnamed(state, credentials) }
    }
    const [, scheme = '', value = ''] = /^([A-Za-z]+) +(\S+) *$/.exec(authorization.slice(0, maxHeaderBytes)) ?? []
    switch (scheme.toLowerCase()) {
      case 'basic':
        return { identity: await this.#byPassword(state, value, credentials) }
      case 'bearer':
        return await this.#byToken(state, value, credentials)
      default:
        throw unauthorized('Authorization must be Basic or Bearer', challenge())
    }
  }

  /**
   * By a name and a password, by the name of a key and the key, or by any name and a token of an issuer
   *
   * @throws OciError UNAUTHORIZED with the challenge, or TOOMANYREQUESTS
   */
  async logIn(
    state: AccessState,
    { user, password }: { user: string; password: string },
    { address, challenge }: Credentials,
  ): Promise<Identity> {
    const issuer = this.#foreign.issuerOf(state, password)
    if (issuer !== undefined) {
      return await this.#byForeignToken(state, issuer, { token: password, address }, challenge)
    }
    const isKey = isKeySecret(password)
    const failures = this.#failures
    const wait = failures.wait(user, address ?? '')
    requireNoWait(wait, !isKey && this.#passwords.isBusy)
    const key = isKey ? state.keys.find(password) : undefined
    if (isKey ? key?.name !== user : !(await this.#passwords.isRight(state.passwords, user, password))) {
      failures.add(user, address ?? '')
      throw unauthorized(isKey ? `${noSuchKey}, or has another name` : 'wrong user name or password', challenge())
    }
    if (key === undefined) {
      return userIdentity(state, user, address)
    }
    this.#keyUses?.note(key)
    return keyIdentity(key, address)
  }

  /** Undefined where it counts for nothing: whoever shows it is a stranger, who can log in again */
  async #bySession(state: AccessState, credentials: Credentials): Promise<Identity | undefined> {
    const { session } = credentials
    const shown =
      session === undefined ? undefined : await this.#tokens.verify(session, 'session').catch(() => undefined)
    const identity = shown && holderOf(state, shown, credentials)
    return identity && { ...identity, expires: shown.expires }
  }

  async #byPassword(state: AccessState, value: string, credentials: Credentials): Promise<Identity> {
    const shown = decodeBasic(value)
    if (shown === undefined) {
      throw unauthorized('Basic credentials must be user:password in base64', credentials.challenge())
    }
    return await this.logIn(state, shown, credentials)
  }

  async #byToken(state: AccessState, value: string, credentials: Credentials): Promise<Authenticated> {
    const { address, challenge } = credentials
    if (isKeySecret(value)) {
      const key = state.keys.find(value)
      if (key === undefined) {
        throw unauthorized(noSuchKey, challenge(undefined, 'invalid_token'))
      }
      this.#keyUses?.note(key)
      return { identity: keyIdentity(key, address) }
    }
    const issuer = this.#foreign.issuerOf(state, value)
    if (issuer !== undefined) {
      return { identity: await this.#byForeignToken(state, issuer, { token: value, address }, challenge) }
    }
    const token = await this.#tokens.verify(value).catch(() => undefined)
    if (token === undefined) {
      throw unauthorized('this token is not valid, or has expired', challenge(undefined, 'invalid_token'))
    }
    const { subject, scopes } = token
    const identity = subject === anonymous ? anonymousFrom(address) : holderOf(state, token, credentials)
    if (identity === undefined) {
      const reason = 'what this token was issued for, a password, key or certificate, is not valid or there any more'
      throw unauthorized(reason, challenge(undefined, 'invalid_token'))
    }
    // that of a certificate counts only with the certificate
    if (identity.kind !== 'certificate') {
      const until = Math.min(token.expires, keyExpiry(state, identity))
      this.#remembered.add(state, credentials.authorization!, { identity, scopes }, until)
    }
    return { identity, scopes }
  }

  /** @throws OciError UNAUTHORIZED; UNAVAILABLE where the keys of the issuer can't be had */
  async #byForeignToken(
    state: AccessState,
    issuer: Issuer,
    { token, address }: { token: string; address: string | undefined },
    challenge: Challenge,
  ): Promise<Identity> {
    try {
      return await this.#foreign.identify(state, issuer, token, address)
    } catch (err) {
      const reason = (err as Error).message
      if ((err as Error).name === 'KeysUnavailableError') {
        throw new OciError('UNAVAILABLE', { detail: { reason }, headers: { 'Retry-After': '10' }, cause: err })
      }
      if ((err as Error).name !== 'ForeignTokenError') {
        throw err
      }
      const text = `this token of the issuer ${issuer.name} is no log-in here: ${reason}`
      throw unauthorized(text, challenge(undefined, 'invalid_token'))
    }
  }
}

/** Whoever shows a certificate, or nothing */
function unnamed(state: AccessState, { address, certificate }: Credentials): Identity {
  return certificate === undefined ? anonymousFrom(address) : certificateIdentity(state, certificate, address)
}

/**
 * @param wait milliseconds
 * @throws OciError TOOMANYREQUESTS
 */
export function requireNoWait(wait: number, isBusy = false): void {
  if (wait > 0 || isBusy) {
    throw new OciError('TOOMANYREQUESTS', {
      detail: { reason: 'too many log-ins failed: wait before the next one' },
      headers: { 'Retry-After': String(Math.ceil(Math.max(wait, second) / second)) },
    })
  }
}

/** The user and password of an `Authorization`; undefined where it holds none */
export function parseBasic(authorization: string | undefined): { user: string; password: string } | undefined {
  return decodeBasic(/^basic +(\S+) *$/i.exec(authorization?.slice(0, maxHeaderBytes) ?? '')?.[1] ?? '')
}

/** @see https://www.rfc-editor.org/rfc/rfc7617 */
function decodeBasic(value: string): { user: string; password: string } | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(value)) {
    return undefined
  }
  const text = Buffer.from(value, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) }
}

function unauthorized(reason: string, headers: Record<string, string | string[]>): OciError {
  return new OciError('UNAUTHORIZED', { detail: { reason }, headers })
}
