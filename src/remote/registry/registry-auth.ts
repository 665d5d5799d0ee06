/**
 * Log-ins at a registry: it answers 401 with a challenge, and takes either user and password or a token from the server
 * that it names.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import type { AbortOptions } from '../abort-options.ts'
import { offeredLogIns } from './challenges.ts'
import type { Credentials } from './docker-credentials.ts'
import { basic, requestToken } from './token-server.ts'

/** Keeps the Authorization header of one registry, one for each set of scopes */
export class RegistryAuth {
  readonly #credentials: () => Promise<Credentials | undefined>
  readonly #headers = new Map<string, string>()

  /** @param credentials called when the registry sends a challenge */
  constructor(credentials: () => Promise<Credentials | undefined>) {
    this.#credentials = credentials
  }

  async hasCredentials(): Promise<boolean> {
    return (await this.#credentials()) !== undefined
  }

  /** @param scopes such as `repository:a/b:pull` */
  header(scopes: readonly string[]): string | undefined {
    return this.#headers.get(scopes.join(' '))
  }

  /**
   * Gets what a challenge asks for, and keeps it as the header of the scopes
   *
   * @param challenge the `WWW-Authenticate` header
   * @param scopes of the request
   * @param url of the registry
   * @returns whether there is a header now, so that the request is worth repeating
   */
  async answer(challenge: string, scopes: readonly string[], url: URL, options: AbortOptions): Promise<boolean> {
    const { password, token: params } = offeredLogIns(challenge)
    const credentials = await this.#credentials()
    if (params !== undefined) {
      // what the registry names may be more than the request is known to need, or less, as for a mount
      const wanted = [...new Set([...scopes, ...(params['scope']?.split(' ') ?? [])])].filter(Boolean)
      const { token } = await requestToken({ registry: url, params, scopes: wanted, credentials }, options)
      this.#headers.set(scopes.join(' '), `Bearer ${token}`)
      return true
    }
    if (!password || credentials === undefined || credentials.identityToken !== undefined) {
      return false
    }
    this.#headers.set(scopes.join(' '), basic(credentials))
    return true
  }
}
