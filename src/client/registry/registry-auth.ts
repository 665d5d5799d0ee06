/**
 * Answers a registry that wants to know who asks.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { ClientError } from '../errors.ts'
import type { Credentials } from './docker-credentials.ts'
import { jsonOf, responseError, send } from '../http/request.ts'
import type { AbortOptions } from '../abort-options.ts'
import { isLoopback, urlFrom } from '../http/plain-http.ts'

/** A token with all that is said about it */
const maxTokenBytes = 256 * 1024

/** Says what a registry is told in the header Authorization */
export class RegistryAuth {
  readonly #credentials: () => Promise<Credentials | undefined>
  readonly #headers = new Map<string, string>()

  /** @param credentials looked up when a registry asks for them */
  constructor(credentials: () => Promise<Credentials | undefined>) {
    this.#credentials = credentials
  }

  /** @param scope such as `repository:a/b:pull` */
  header(scope: string): string | undefined {
    return this.#headers.get(scope)
  }

  /**
   * Gets what a registry asks for
   *
   * @param challenge its `WWW-Authenticate`
   * @param url the registry's own
   * @returns whether it is worth asking again
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
  // that the registry may be asked without TLS says nothing of another host
  const plainHttp = registry.protocol === 'http:' && url.hostname === registry.hostname
  if (url.protocol === 'http:' && !plainHttp && (registry.protocol === 'https:' || !isLoopback(url.hostname))) {
    throw new ClientError(`${registry.host} sends for a token to ${url.host}, without TLS`)
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
            `${params.toString()}&${new URLSearchParams({ grant_type: 'refresh_token', client_id: 'ipdr', refresh_token: credentials.identityToken }).toString()}`,
          ),
        })
  if (answer.status !== 200) {
    throw await responseError(answer, `no token for ${registry.host}`)
  }
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
