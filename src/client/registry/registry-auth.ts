/**
 * Log-ins at a registry: it answers 401 with a challenge, and takes either user and password or a token from the server
 * that it names.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { ClientError } from '../errors.ts'
import type { Credentials } from './docker-credentials.ts'
import { jsonOf, requireStatus } from '../http/answer.ts'
import type { AbortOptions } from '../abort-options.ts'
import { isLoopback, urlFrom } from '../http/plain-http.ts'
import { send } from '../http/request.ts'

/** Longest answer of a token server */
const maxTokenBytes = 256 * 1024

/** Form fields by which an identity token is exchanged for an access token */
const refresh = { grant_type: 'refresh_token', client_id: 'ipdr' }

/** Keeps the Authorization header of one registry, one for each scope */
export class RegistryAuth {
  readonly #credentials: () => Promise<Credentials | undefined>
  readonly #headers = new Map<string, string>()

  /** @param credentials called when the registry sends a challenge */
  constructor(credentials: () => Promise<Credentials | undefined>) {
    this.#credentials = credentials
  }

  /** @param scope such as `repository:a/b:pull` */
  header(scope: string): string | undefined {
    return this.#headers.get(scope)
  }

  /**
   * Gets what a challenge asks for, and keeps it as the header of the scope
   *
   * @param challenge the `WWW-Authenticate` header
   * @param url of the registry
   * @returns whether there is a header now, so that the request is worth repeating
   */
  async answer(challenge: string, scope: string, url: URL, options: AbortOptions): Promise<boolean> {
    const [, scheme = '', rest = ''] = /^\s*([\w-]+)\s+(.*)$/s.exec(challenge) ?? []
    const params = Object.fromEntries(
      [...rest.matchAll(/(\w+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))/g)].map(([, name, quoted, plain]) => [
        name!.toLowerCase(),
        quoted ?? plain!,
      ]),
    )
    const credentials = await this.#credentials()
    if (scheme.toLowerCase() === 'basic' && credentials !== undefined) {
      this.#headers.set(scope, basic(credentials))
      return true
    }
    if (scheme.toLowerCase() === 'bearer' && params['realm'] !== undefined) {
      this.#headers.set(scope, `Bearer ${await fetchToken(params, scope, url, credentials, options)}`)
      return true
    }
    return false
  }
}

async function fetchToken(
  { realm, scope: wanted, service }: Record<string, string>,
  scope: string,
  registry: URL,
  credentials: Credentials | undefined,
  options: AbortOptions,
): Promise<string> {
  const url = urlFrom(realm!, registry)
  // plain HTTP that is allowed for the registry is not allowed for another host
  const plainHttp = registry.protocol === 'http:' && url.hostname === registry.hostname
  if (url.protocol === 'http:' && !plainHttp && (registry.protocol === 'https:' || !isLoopback(url.hostname))) {
    throw new ClientError(`${registry.host} wants a token from ${url.host}, which would be reached without TLS`)
  }
  const init = { ...options, plainHttp }
  const params = new URLSearchParams({ scope: wanted ?? scope, ...(service === undefined ? {} : { service }) })
  const answer =
    credentials?.identityToken === undefined
      ? await send(withQuery(url, params), {
          ...init,
          headers: credentials === undefined ? {} : { Authorization: basic(credentials) },
        })
      : await send(url, {
          ...init,
          method: 'POST',
          headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
          body: new TextEncoder().encode(
            [params, new URLSearchParams({ ...refresh, refresh_token: credentials.identityToken })].join('&'),
          ),
        })
  await requireStatus(answer, `no token for ${registry.host}`, 200)
  const { access_token: access, token } = ((await jsonOf(answer, maxTokenBytes)) ?? {}) as {
    token?: unknown
    access_token?: unknown
  }
  const found = token ?? access
  if (typeof found !== 'string' || !/^[\x21-\x7e]+$/.test(found)) {
    throw new ClientError(`${url.host} gave no token for ${registry.host}`)
  }
  return found
}

function withQuery(url: URL, params: URLSearchParams): URL {
  const result = new URL(url)
  params.forEach((value, name) => {
    result.searchParams.append(name, value)
  })
  return result
}

function basic({ password, username }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
