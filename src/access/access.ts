/**
 * Who may do what. It imports `oci` and `scheduling` alone and knows neither HTTP nor repositories; `http` asks
 * {@link Access} who makes a request, and `registry` and `ipfs/node` ask the {@link Caller} what he may do. Its rooms,
 * each of which may import those after it:
 *
 * - this folder: begin here; `caller.ts`: what one request may do; `access-review.ts`, `explain-access.ts`: what
 *   administrators ask
 * - `log-in/`: who asks (`authenticator.ts`), by a password, a key or a token; how people log in by a browser
 *   (`log-ins.ts`)
 * - `tokens/`: the tokens that this registry gives, and the keys that sign them
 * - `files/`: the files with rules, keys and passwords (`access-files.ts`), and which peers' certificates they trust
 * - `audit/`: the record of who did what
 * - `issuers/`: who else may say who somebody is
 * - `rules/`: what an identity may do (`rules.ts`)
 */
import type { AccessFiles, AccessState } from './files/access-files.ts'
import { parseBasic, type Authenticated, type Authenticator, type Credentials } from './log-in/authenticator.ts'
import { IdentifiedCaller, trusted, type Caller } from './caller.ts'
import { decisionsFor, fingerprintFor, holderOf } from './log-in/holders.ts'
import { anonymousFrom, peerIdentity, type Identity } from './rules/identity.ts'
import { OciError } from '../oci/errors.ts'
import type { LogIns } from './log-in/log-ins.ts'
import type { Logger } from '../log.ts'
import { parseRoot } from '../oci/cid.ts'
import { pullerOf, pullsEverything, type Puller } from './rules/puller.ts'
import type { RecentFailures } from './audit/recent-failures.ts'
import { dockerActions, type Scope } from './rules/scopes.ts'
import { lifetimeUntil, type Tokens } from './tokens/tokens.ts'

export interface AccessComponents {
  files: Pick<AccessFiles, 'state'>
  authenticator: Authenticator
  tokens: Tokens
  logIns: LogIns
  /** Is told of each log-in that fails */
  recentFailures?: Pick<RecentFailures, 'add'> | undefined
  log: Logger
}

/** What a client asks the token endpoint for */
export interface TokenRequest {
  scopes: readonly Scope[]
  /** Whether a refresh token is wanted, too */
  offline: boolean
  /** Of a POST, instead of `Authorization` */
  grant?: { user: string; password: string } | { refreshToken: string } | undefined
}

export interface TokenAnswer {
  token: string
  access_token: string
  refresh_token?: string
  /** What was allowed of what was asked for */
  scope: string
  /** Seconds */
  expires_in: number
  issued_at: string
}

export class Access {
  /** Where clients get tokens, if not at `/auth/token` of the host that they ask */
  readonly tokenUrl: string | undefined
  readonly logIns: LogIns
  readonly #components: AccessComponents

  constructor(components: AccessComponents, { tokenUrl }: { tokenUrl?: string | undefined } = {}) {
    this.#components = components
    this.logIns = components.logIns
    this.tokenUrl = tokenUrl
  }

  /** Whether there are rules: without them nobody is asked who he is */
  get isClosed(): boolean {
    return this.#components.files.state !== undefined
  }

  /** Another one whenever rules, users or keys have changed; to be compared alone */
  get revision(): unknown {
    return this.#components.files.state
  }

  /**
   * What a peer may fetch
   *
   * @param id empty for a peer of which nothing is known: what that may fetch is for all
   * @param groups of its certificate; undefined: it has none that counts
   */
  peer(id: string, inSwarm: boolean, groups?: readonly string[]): Puller {
    const { state } = this.#components.files
    return state === undefined ? pullsEverything : pullerOf(state.rules, peerIdentity(id, inSwarm, groups))
  }

  /** Whether a rule allows anything to this very peer */
  namesPeer(id: string): boolean {
    return this.#components.files.state?.rules.allowsBySubject(`peer:${id}`) === true
  }

  /**
   * Returns at once where there are no rules, or for a token that was shown before
   *
   * @throws OciError UNAUTHORIZED where a password or token is wrong, or TOOMANYREQUESTS
   */
  caller(credentials: Credentials): Caller | Promise<Caller> {
    const { state } = this.#components.files
    if (state === undefined) {
      credentials.observer?.identified?.(anonymousFrom(credentials.address))
      return trusted
    }
    const remembered = this.#components.authenticator.remembered(state, credentials)
    return remembered === undefined
      ? this.#authenticatedCaller(state, credentials)
      : this.#identifiedCaller(state, credentials, remembered)
  }

  async #authenticatedCaller(state: AccessState, credentials: Credentials): Promise<Caller> {
    const { authorization } = credentials
    const authenticated = await this.#observe(
      credentials,
      () => claimed(state, parseBasic(authorization)?.user),
      async () => await this.#components.authenticator.authenticate(state, credentials),
    )
    return this.#identifiedCaller(state, credentials, authenticated)
  }

  #identifiedCaller(
    state: AccessState,
    { address, challenge, observer }: Credentials,
    authenticated: Authenticated,
  ): Caller {
    const { log } = this.#components
    observer?.identified?.(authenticated.identity)
    return new IdentifiedCaller({
      ...authenticated,
      rules: decisionsFor(state, authenticated.identity),
      challenge,
      onDecided: observer?.decided,
      onDenied: (question, { rule }) => {
        const { name } = authenticated.identity
        log.info('denied', { user: name, ...question, rule: rule?.source ?? 'none', remote: address })
      },
    })
  }

  /** @throws OciError UNAUTHORIZED or TOOMANYREQUESTS, or NOT_FOUND where there are no rules */
  async token(request: TokenRequest, credentials: Credentials): Promise<TokenAnswer> {
    const { files, tokens } = this.#components
    const { state } = files
    if (state === undefined) {
      throw new OciError('NOT_FOUND', { detail: { reason: 'this registry has no access rules, and so no tokens' } })
    }
    const { observer, authorization } = credentials
    const { grant } = request
    const identity = await this.#observe(
      credentials,
      () => claimed(state, grant === undefined ? parseBasic(authorization)?.user : 'user' in grant ? grant.user : ''),
      async () => await this.#identify(state, request, credentials),
    )
    observer?.identified?.(identity)
    const fingerprint = fingerprintFor(state, identity)
    const scopes = allowedScopes(state, identity, request.scopes)
    const lifetime = lifetimeUntil(identity.expires)
    const groups = identity.issuer && identity.groups.filter(group => group.startsWith(`${identity.issuer}:`))
    const token = await tokens.issue(
      { subject: identity.name, scopes, fingerprint, groups: groups || undefined },
      lifetime,
    )
    return {
      token,
      access_token: token,
      ...(request.offline && fingerprint !== undefined && identity.issuer === undefined
        ? { refresh_token: await tokens.issueRefresh(identity.name, fingerprint) }
        : {}),
      scope: scopes
        .map(
          ({ type, name, actions }) =>
            `${type}:${name}:${type === 'registry' ? '*' : dockerActions(actions).join(',')}`,
        )
        .join(' '),
      expires_in: lifetime,
      issued_at: new Date().toISOString(),
    }
  }

  /** Tells an observer where a log-in fails */
  async #observe<T>(
    { address, observer }: Credentials,
    claimed: () => string | undefined,
    logIn: () => Promise<T>,
  ): Promise<T> {
    try {
      return await logIn()
    } catch (err) {
      if (err instanceof OciError && err.code === 'UNAUTHORIZED') {
        const user = claimed()
        this.#components.recentFailures?.add({ user, address, reason: String(err.detail?.['reason'] ?? err.message) })
        observer?.failed?.(user)
      }
      throw err
    }
  }

  async #identify(state: AccessState, { grant }: TokenRequest, credentials: Credentials): Promise<Identity> {
    const { challenge } = credentials
    const { authenticator, tokens } = this.#components
    if (grant === undefined) {
      const { identity, scopes } = await authenticator.authenticate(state, credentials)
      if (scopes !== undefined) {
        // it would be one for more than the first was asked for
        throw new OciError('UNAUTHORIZED', {
          detail: { reason: 'a token is had for a password or a refresh token, not for another token' },
          headers: challenge(),
        })
      }
      return identity
    }
    if ('user' in grant) {
      return await authenticator.logIn(state, grant, credentials)
    }
    const refresh = await tokens.verify(grant.refreshToken, 'refresh').catch(() => undefined)
    const holder = refresh && holderOf(state, refresh, credentials)
    if (holder === undefined) {
      throw new OciError('UNAUTHORIZED', {
        detail: { reason: 'the refresh token is not valid any more: log in again' },
        headers: challenge(),
      })
    }
    return holder
  }
}

/**
 * What of the scopes the rules allow: too much is cut, never refused, as clients ask for more than they need. Which
 * repositories the image of a CID is of is looked up once it is pulled; a token for it is for who may pull anything.
 */
function allowedScopes(state: AccessState, identity: Identity, scopes: readonly Scope[]): Scope[] {
  const rules = decisionsFor(state, identity)
  return scopes
    .map(({ type, name, actions }) => ({
      type,
      name,
      actions:
        type === 'registry'
          ? actions
          : actions.filter(
              action =>
                rules.decide(identity, { action, repository: name }).allowed ||
                (action === 'pull' && parseRoot(name) !== undefined && rules.allowsSomewhere(identity, action)),
            ),
    }))
    .filter(({ actions }) => actions.length > 0)
}

/** The user or key that somebody says he is, where there is one of that name */
function claimed({ keys, passwords }: AccessState, name = ''): string | undefined {
  return passwords.has(name) ? name : keys.get(name) === undefined ? undefined : `key:${name}`
}
