/**
 * Talks to the providers at which people log in, as a client of OpenID Connect: authorization code with PKCE. Whoever
 * opens the log-in makes the server fetch their discovery documents, so that is bounded in time, size and number.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Configuration, ServerMetadata } from 'openid-client'
import { discover, endpointOf, type Discovery } from '../issuers/discovery.ts'
import { fetchBounded } from '../issuers/fetch-json.ts'
import type { Claims, Issuer, LogInClient } from '../issuers/issuer.ts'
import type { Logger } from '../../log.ts'
import { OciError } from '../../oci/errors.ts'
import type { LogInTicket } from '../tokens/tokens.ts'

const second = 1000
const keepFor = 600 * second
const waitAfterFailure = 5 * second

/** An issuer at which people log in */
export type LogInIssuer = Issuer & { login: LogInClient }

interface Found {
  document: Promise<Discovery>
  /** On the clock of `performance` */
  until: number
}

export interface LogInProvidersInit {
  /** Paths of files begin here */
  directory: string
}

export class LogInProviders {
  readonly #log: Logger
  readonly #directory: string
  readonly #stopping = new AbortController()
  /** By the URL of the issuer */
  readonly #found = new Map<string, Found>()

  constructor({ log }: { log: Logger }, { directory }: LogInProvidersInit) {
    this.#log = log
    this.#directory = directory
  }

  /** Ends what is under way */
  async stop(): Promise<void> {
    this.#stopping.abort()
  }

  /**
   * Where somebody logs in
   *
   * @throws OciError UNAVAILABLE
   */
  async authorizationUrl(issuer: LogInIssuer, ticket: LogInTicket): Promise<string> {
    const { buildAuthorizationUrl, calculatePKCECodeChallenge } = await import('openid-client')
    const config = await this.#configuration(issuer)
    const scopes = new Set(['openid', ...issuer.login.scopes])
    return buildAuthorizationUrl(config, {
      redirect_uri: ticket.redirectUri,
      scope: [...scopes].join(' '),
      code_challenge: await calculatePKCECodeChallenge(ticket.verifier),
      code_challenge_method: 'S256',
      state: ticket.state,
      nonce: ticket.nonce,
    }).href
  }

  /**
   * What the provider says of who has logged in there
   *
   * @param query of the callback
   * @returns the ID token, whose signature is still to be verified, and further claims
   * @throws OciError REQUEST_INVALID, DENIED or UNAVAILABLE
   */
  async exchange(
    issuer: LogInIssuer,
    ticket: LogInTicket,
    { query, signal }: { query: URLSearchParams; signal: AbortSignal },
  ): Promise<{ idToken: string; more: Claims }> {
    const { authorizationCodeGrant, fetchUserInfo } = await import('openid-client')
    const config = await this.#configuration(issuer, signal)
    try {
      const tokens = await authorizationCodeGrant(config, new URL(`${ticket.redirectUri}?${query.toString()}`), {
        expectedNonce: ticket.nonce,
        expectedState: ticket.state,
        pkceCodeVerifier: ticket.verifier,
        idTokenExpected: true,
      })
      const hasMore = config.serverMetadata().userinfo_endpoint !== undefined
      const more = hasMore ? await fetchUserInfo(config, tokens.access_token, tokens.claims()!.sub) : {}
      return { idToken: tokens.id_token!, more }
    } catch (err) {
      throw signal.aborted ? err : this.#explain(issuer, err)
    }
  }

  async #configuration(issuer: LogInIssuer, signal?: AbortSignal): Promise<Configuration> {
    const client = await import('openid-client')
    const { clientId, clientSecretFile } = issuer.login
    try {
      const document = await this.#discover(issuer)
      for (const name of ['authorization_endpoint', 'token_endpoint']) {
        endpointOf(document, name)
      }
      const methods = document['token_endpoint_auth_methods_supported'] ?? ['client_secret_basic']
      const secret = clientSecretFile === undefined ? undefined : await this.#secretOf(clientSecretFile)
      const byHeader = Array.isArray(methods) && methods.includes('client_secret_basic')
      const how = byHeader ? client.ClientSecretBasic(secret) : client.ClientSecretPost(secret)
      const config = new client.Configuration(
        document as ServerMetadata,
        clientId,
        secret,
        secret === undefined ? client.None() : how,
      )
      if (issuer.issuer.startsWith('http:')) {
        client.allowInsecureRequests(config)
      }
      config[client.customFetch] = async (url, init) =>
        await fetchBounded(url, {
          ...(init as RequestInit),
          signal: AbortSignal.any([this.#stopping.signal, ...(signal === undefined ? [] : [signal])]),
        })
      return config
    } catch (err) {
      throw this.#unavailable(issuer, err)
    }
  }

  async #discover({ issuer }: LogInIssuer): Promise<Discovery> {
    const known = this.#found.get(issuer)
    if (known !== undefined && known.until > performance.now()) {
      return await known.document
    }
    const { signal } = this.#stopping
    const found = { document: discover(issuer, { signal }), until: performance.now() + keepFor }
    this.#found.set(issuer, found)
    try {
      return await found.document
    } catch (err) {
      found.until = performance.now() + waitAfterFailure
      throw err
    }
  }

  async #secretOf(file: string): Promise<string> {
    const secret = (await readFile(resolve(this.#directory, file), 'utf8')).trim()
    if (secret === '') {
      throw new Error(`${file} is empty`)
    }
    return secret
  }

  /** What went wrong, for who wants to log in */
  #explain(issuer: LogInIssuer, err: unknown): OciError {
    const { code, error } = err as { code?: string; error?: string }
    if (error === 'invalid_grant') {
      const reason = 'this log-in was used already, or took too long: begin again'
      return new OciError('REQUEST_INVALID', { detail: { reason }, cause: err })
    }
    if ((err as Error).name === 'AuthorizationResponseError') {
      // what comes back in a URL is no text of ours
      const what = /^[a-z_]{1,50}$/.test(error ?? '') ? `: ${error}` : ''
      return new OciError('DENIED', { detail: { reason: `${issuer.name} did not log you in${what}` }, cause: err })
    }
    if (code !== undefined && wrongAnswers.has(code)) {
      this.#log.warn('the answer of a log-in provider counts for nothing', {
        issuer: issuer.name,
        reason: reasonOf(err),
      })
      return new OciError('DENIED', { detail: { reason: `the answer of ${issuer.name} is not for this log-in` } })
    }
    return this.#unavailable(issuer, err)
  }

  #unavailable({ name }: LogInIssuer, err: unknown): OciError {
    this.#log.error('nobody can log in at a provider', { issuer: name, reason: reasonOf(err) })
    return new OciError('UNAVAILABLE', {
      detail: { reason: `a log-in at ${name} is not possible now: try again later` },
      headers: { 'Retry-After': '10' },
      cause: err,
    })
  }
}

/** Without what the provider said, which may hold claims and tokens */
function reasonOf(err: unknown): string {
  const { cause, error, message } = err as Error & { error?: string }
  const because = error ?? (cause as Error | undefined)?.message
  return because === undefined ? message : `${message}: ${because}`
}

/** Codes of openid-client for an answer that is there, but proves nothing */
const wrongAnswers = new Set([
  'OAUTH_INVALID_RESPONSE',
  'OAUTH_JWT_CLAIM_COMPARISON_FAILED',
  'OAUTH_JWT_TIMESTAMP_CHECK_FAILED',
  'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED',
])
