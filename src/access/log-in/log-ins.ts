/**
 * How people log in by a browser at the issuers that have `login` in the file with the rules. Nothing is kept in
 * memory: the browser has a ticket while somebody logs in, and then a session, both signed by the keys of our tokens. A
 * session says who somebody is; what he may do is looked up with each request.
 */
import type { AccessFiles, AccessState } from '../files/access-files.ts'
import { requireNoWait, type Credentials } from './authenticator.ts'
import type { FailedLogIns } from './failed-log-ins.ts'
import type { ForeignTokens } from './foreign-tokens.ts'
import { fingerprintFor, foreignIdentity } from './holders.ts'
import { anonymousFrom, type Identity } from '../rules/identity.ts'
import { foreignUser } from '../issuers/issuer.ts'
import type { LogInIssuer, LogInProviders } from './log-in-providers.ts'
import { OciError } from '../../oci/errors.ts'
import type { RecentFailures } from '../audit/recent-failures.ts'
import type { LogInTicket, Tokens } from '../tokens/tokens.ts'

/** Browsers keep no cookie of more than 4096 bytes, with its name and attributes */
const maxSessionBytes = 3900

export interface LogInsComponents {
  files: Pick<AccessFiles, 'state'>
  foreign: Pick<ForeignTokens, 'claims'>
  providers: LogInProviders
  failures: FailedLogIns
  /** Is told of each log-in that fails */
  recentFailures?: Pick<RecentFailures, 'add'> | undefined
  tokens: Tokens
}

export interface LogInRequest {
  /** Its name in the file; undefined: the only one */
  issuer: string | undefined
  /** Path of the page that is shown afterwards */
  to: string
  /** Where the provider sends the browser back to */
  redirectUri: string
}

type Asker = Pick<Credentials, 'address' | 'observer'>

export class LogIns {
  readonly #components: LogInsComponents

  constructor(components: LogInsComponents) {
    this.#components = components
  }

  /** Names of the issuers at which people log in */
  get issuers(): string[] {
    return issuersOf(this.#components.files.state).map(({ name }) => name)
  }

  /**
   * @returns where the browser goes next, and the ticket that it keeps
   * @throws OciError NOT_FOUND, REQUEST_INVALID, TOOMANYREQUESTS or UNAVAILABLE
   */
  async begin(
    { issuer: name, to, redirectUri }: LogInRequest,
    { address, observer }: Asker,
  ): Promise<{ location: string; ticket: string }> {
    const { files, providers, tokens } = this.#components
    observer?.identified?.(anonymousFrom(address))
    const issuer = issuerOf(files.state, name)
    const { randomNonce, randomPKCECodeVerifier, randomState } = await import('openid-client')
    const ticket: LogInTicket = {
      issuer: issuer.name,
      state: randomState(),
      nonce: randomNonce(),
      verifier: randomPKCECodeVerifier(),
      redirectUri,
      to,
    }
    return {
      location: await providers.authorizationUrl(issuer, ticket),
      ticket: await tokens.issueTicket(ticket),
    }
  }

  /**
   * @param ticket undefined where the browser shows none
   * @param query of the callback
   * @throws OciError REQUEST_INVALID, DENIED, TOOMANYREQUESTS or UNAVAILABLE
   */
  async finish(
    { ticket: shown, query }: { ticket: string | undefined; query: URLSearchParams },
    { address, observer, signal }: Asker & { signal: AbortSignal },
  ): Promise<{ session: string; to: string }> {
    const { failures, files } = this.#components
    const { state } = files
    if (issuersOf(state).length === 0) {
      throw noLogIn()
    }
    requireNoWait(failures.wait('', address ?? ''))
    try {
      const ticket = await this.#ticketOf(shown, query)
      const issuer = issuerOf(state, ticket.issuer)
      const identity = await this.#identify(state!, issuer, ticket, { query, signal, address })
      const session = await this.#sessionOf(state!, issuer, identity)
      observer?.identified?.(identity)
      return { session, to: ticket.to }
    } catch (err) {
      if (err instanceof OciError && (err.code === 'DENIED' || err.code === 'REQUEST_INVALID')) {
        this.#components.recentFailures?.add({ address, reason: String(err.detail?.['reason'] ?? err.message) })
        observer?.failed?.(undefined)
      }
      throw err
    }
  }

  /** @throws OciError REQUEST_INVALID where it is not the answer to what this browser asked for */
  async #ticketOf(shown: string | undefined, query: URLSearchParams): Promise<LogInTicket> {
    const ticket =
      shown === undefined ? undefined : await this.#components.tokens.verifyTicket(shown).catch(() => undefined)
    const [state, ...others] = query.getAll('state')
    if (ticket === undefined || ticket.state !== state || others.length > 0) {
      const reason = 'this browser has not begun this log-in, or it took too long: begin again'
      throw new OciError('REQUEST_INVALID', { detail: { reason } })
    }
    return ticket
  }

  async #identify(
    state: AccessState,
    issuer: LogInIssuer,
    ticket: LogInTicket,
    { address, ...request }: { query: URLSearchParams; signal: AbortSignal; address: string | undefined },
  ): Promise<Identity> {
    const { failures, foreign, providers } = this.#components
    try {
      const { idToken, more } = await providers.exchange(issuer, ticket, request)
      const claims = await foreign.claims(state, issuer, idToken, [issuer.login.clientId])
      return foreignIdentity(
        state,
        issuer,
        { ...foreignUser(issuer, { ...more, ...claims }), expires: undefined },
        address,
      )
    } catch (err) {
      const error = explained(issuer, err)
      if (error.code !== 'UNAVAILABLE') {
        // each try costs the provider something; there is no name yet that it could count for
        failures.add(ticket.state, address ?? '')
      }
      throw error
    }
  }

  /** @throws OciError DENIED where no browser would keep it */
  async #sessionOf(state: AccessState, { name }: LogInIssuer, identity: Identity): Promise<string> {
    const session = await this.#components.tokens.issueSession({
      subject: identity.name,
      fingerprint: fingerprintFor(state, identity),
      groups: identity.groups.filter(group => group.startsWith(`${name}:`)),
    })
    if (session.length > maxSessionBytes) {
      const reason = `${name} tells of ${identity.groups.length} groups, more than a cookie has room for`
      throw new OciError('DENIED', { detail: { reason } })
    }
    return session
  }
}

function issuersOf(state: AccessState | undefined): LogInIssuer[] {
  return [...(state?.issuers.values() ?? [])].filter((issuer): issuer is LogInIssuer => issuer.login !== undefined)
}

/** @throws OciError NOT_FOUND, or REQUEST_INVALID where there are several and none is named */
function issuerOf(state: AccessState | undefined, name: string | undefined): LogInIssuer {
  const all = issuersOf(state)
  const found = name === undefined ? all : all.filter(issuer => issuer.name === name)
  if (found.length > 1) {
    const names = found.map(issuer => issuer.name).join(', ')
    throw new OciError('REQUEST_INVALID', { detail: { reason: `issuer must be one of ${names}` } })
  }
  const [issuer] = found
  if (issuer === undefined) {
    throw noLogIn()
  }
  return issuer
}

function noLogIn(): OciError {
  return new OciError('NOT_FOUND', {
    detail: { reason: 'people do not log in by a browser here, or not at this issuer' },
  })
}

/** @throws unknown what is no answer to a log-in */
function explained({ name }: LogInIssuer, err: unknown): OciError {
  if (err instanceof OciError) {
    return err
  }
  switch ((err as Error).name) {
    case 'KeysUnavailableError':
      return new OciError('UNAVAILABLE', {
        detail: { reason: (err as Error).message },
        headers: { 'Retry-After': '10' },
        cause: err,
      })
    case 'ForeignTokenError':
      return new OciError('DENIED', {
        detail: { reason: `${name} has logged you in, but that is no log-in here: ${(err as Error).message}` },
        cause: err,
      })
    default:
      throw err
  }
}
