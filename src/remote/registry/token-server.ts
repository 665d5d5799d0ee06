import type { AbortOptions } from '../abort-options.ts'
import { ClientError, InvalidAnswerError } from '../errors.ts'
import { jsonOf, requireStatus, type Answer } from '../http/answer.ts'
import { isLoopback, urlFrom } from '../http/plain-http.ts'
import { send, type SendInit, type Transport } from '../http/request.ts'
import type { Credentials } from './docker-credentials.ts'

/** Longest answer of a token server */
const maxTokenBytes = 256 * 1024
/** Seconds that a token is good for where its server does not say, and at most */
const [defaultLifetime, maxLifetime] = [60, 86_400]
/** How much of that a token is used for: the request that carries it takes some time */
const usedLifetime = 0.9

export interface TokenRequest {
  /** Of the registry that wants the token */
  registry: URL
  /** Of the challenge: `realm` is where to ask */
  params: Record<string, string>
  /** What the token is for, such as `repository:a/b:pull` */
  scopes: readonly string[]
  credentials: Credentials | undefined
  /** Whether to ask for a refresh token as well, as a log-in does. @default false */
  offline?: boolean
}

export interface Tokens {
  token: string
  /** Milliseconds, from when it was asked for, in which it can be used */
  lifetime: number
  /** Gets further tokens without the password */
  refreshToken: string | undefined
}

/**
 * Gets a token from the server that a registry names
 *
 * @throws ClientError
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
export async function requestToken(request: TokenRequest, options: AbortOptions & Transport = {}): Promise<Tokens> {
  const { params, registry } = request
  const url = urlFrom(params['realm'] ?? '', registry)
  // plain HTTP that is allowed for the registry is not allowed for another host
  const plainHttp = registry.protocol === 'http:' && url.hostname === registry.hostname
  if (url.protocol === 'http:' && !plainHttp && (registry.protocol === 'https:' || !isLoopback(url.hostname))) {
    throw new InvalidAnswerError(`${registry.host} wants a token from ${url.host}, which would be reached without TLS`)
  }
  const answer = await ask(url, request, { ...options, plainHttp })
  await requireStatus(answer, `no token for ${registry.host}`, 200)
  const {
    access_token: access,
    expires_in: seconds,
    refresh_token: refreshToken,
    token,
  } = ((await jsonOf(answer, maxTokenBytes)) ?? {}) as Record<string, unknown>
  const found = token ?? access
  if (!isToken(found)) {
    throw new ClientError(`${url.host} gave no token for ${registry.host}`)
  }
  return {
    token: found,
    lifetime: lifetimeOf(seconds),
    refreshToken: isToken(refreshToken) ? refreshToken : undefined,
  }
}

function lifetimeOf(seconds: unknown): number {
  const known = typeof seconds === 'number' && seconds > 0 ? seconds : defaultLifetime
  return Math.min(known, maxLifetime) * usedLifetime * 1000
}

async function ask(
  url: URL,
  { credentials, offline = false, params: { service }, scopes }: TokenRequest,
  init: SendInit,
): Promise<Answer> {
  const serviceParams: [string, string][] = service === undefined ? [] : [['service', service]]
  if (credentials?.identityToken === undefined) {
    const logIn: [string, string][] = [
      ['account', credentials?.username ?? ''],
      ['client_id', 'ipdr'],
      ['offline_token', 'true'],
    ]
    const scopeParams = scopes.map((scope): [string, string] => ['scope', scope])
    const params = [...scopeParams, ...serviceParams, ...(offline ? logIn : [])]
    return await send(withQuery(url, params), {
      ...init,
      headers: credentials === undefined ? {} : { Authorization: basic(credentials) },
    })
  }
  const form = new URLSearchParams([
    ['scope', scopes.join(' ')],
    ...serviceParams,
    ['grant_type', 'refresh_token'],
    ['client_id', 'ipdr'],
    ['refresh_token', credentials.identityToken],
  ])
  return await send(url, {
    ...init,
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new TextEncoder().encode(form.toString()),
  })
}

function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}

function withQuery(url: URL, params: readonly [string, string][]): URL {
  const result = new URL(url)
  params.forEach(([name, value]) => {
    result.searchParams.append(name, value)
  })
  return result
}

/** The `Authorization` header of a user with a password */
export function basic({ password, username }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
