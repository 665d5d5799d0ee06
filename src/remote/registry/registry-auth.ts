/**
 * Log-ins at a registry: it answers 401 with a challenge, and takes either user and password or a token from the server
 * that it names.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
import { LRUCache } from 'lru-cache'
import { SharedCalls } from '../../scheduling/shared-calls.ts'
import type { AbortOptions } from '../abort-options.ts'
import type { Transport } from '../http/request.ts'
import { offeredLogIns } from './challenges.ts'
import type { Credentials } from './docker-credentials.ts'
import { basic, requestToken } from './token-server.ts'

/** Sets of scopes whose headers are kept: one for each repository that is asked for */
const maxKept = 1000

interface KeptHeader {
  header: string
  /** Time of `performance.now()` from which on it is no use */
  expires: number
  /** What it was the answer to */
  challenge: string
}

export type LogInOptions = AbortOptions & Transport

/** Keeps the Authorization header of one registry, one for each set of scopes */
export class RegistryAuth {
  readonly #credentials: () => Promise<Credentials | undefined>
  readonly #kept = new LRUCache<string, KeptHeader>({ max: maxKept })
  readonly #logIns = new SharedCalls<boolean>()

  /** @param credentials called when the registry sends a challenge */
  constructor(credentials: () => Promise<Credentials | undefined>) {
    this.#credentials = credentials
  }

  async hasCredentials(): Promise<boolean> {
    return (await this.#credentials()) !== undefined
  }

  /** @param scopes such as `repository:a/b:pull` */
  header(scopes: readonly string[]): string | undefined {
    return this.#kept.get(scopes.join(' '))?.header
  }

  /** The same; a token that has expired is renewed, without asking the registry for another challenge */
  async freshHeader(scopes: readonly string[], url: URL, options: LogInOptions): Promise<string | undefined> {
    const kept = this.#kept.get(scopes.join(' '))
    if (kept !== undefined && performance.now() >= kept.expires) {
      await this.answer(kept.challenge, scopes, url, { ...options, refused: kept.header })
    }
    return this.header(scopes)
  }

  /** The next request begins without a header, and gets a challenge */
  forget(scopes: readonly string[]): void {
    this.#kept.delete(scopes.join(' '))
  }

  /**
   * Gets what a challenge asks for, and keeps it as the header of the scopes; once for all who ask at the same time
   *
   * @param challenge the `WWW-Authenticate` header
   * @param scopes of the request
   * @param url of the registry
   * @param options.refused the header that is no use: where there is another one already, that one will do
   * @returns whether there is a header now, so that the request is worth repeating
   */
  async answer(
    challenge: string,
    scopes: readonly string[],
    url: URL,
    { refused, signal, ...transport }: LogInOptions & { refused?: string | undefined },
  ): Promise<boolean> {
    const header = this.header(scopes)
    if (refused !== undefined && header !== undefined && header !== refused) {
      return true
    }
    return await this.#logIns.run(
      scopes.join(' '),
      async signal => await this.#logIn(challenge, scopes, url, { ...transport, signal }),
      { signal },
    )
  }

  async #logIn(challenge: string, scopes: readonly string[], url: URL, options: LogInOptions): Promise<boolean> {
    const { password, token: params } = offeredLogIns(challenge)
    const credentials = await this.#credentials()
    if (params !== undefined) {
      // what the registry names may be more than the request is known to need, or less, as for a mount
      const wanted = [...new Set([...scopes, ...(params['scope']?.split(' ') ?? [])])].filter(Boolean)
      const asked = performance.now()
      const { lifetime, token } = await requestToken({ registry: url, params, scopes: wanted, credentials }, options)
      this.#kept.set(scopes.join(' '), { header: `Bearer ${token}`, expires: asked + lifetime, challenge })
      return true
    }
    if (!password || credentials === undefined || credentials.identityToken !== undefined) {
      return false
    }
    this.#kept.set(scopes.join(' '), { header: basic(credentials), expires: Infinity, challenge })
    return true
  }
}
