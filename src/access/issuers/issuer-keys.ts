/**
 * The public keys of an issuer, read from a file or fetched by HTTP. Whoever shows a token may make the server fetch
 * them, so that is bounded in time, size and number; a fetch delays only tokens of the issuer whose keys are missing.
 */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import type { Logger } from '../../log.ts'
import { discover, endpointOf } from './discovery.ts'
import { fetchJson } from './fetch-json.ts'
import { isHttpUrl, type Issuer } from './issuer.ts'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
/** How long keys are used before they are read again, while requests go on with the old ones */
const refreshAfter = { url: 10 * minute, file: 5 * second }
/** How long keys are used whose issuer can't be reached */
const keepFor = 24 * hour
/** Between two reads, whether they succeed or not */
const waitBetween = { url: 30 * second, file: second }
const maxKeys = 100

/** There are no keys that could be used, and the issuer can't be asked for them now */
export class KeysUnavailableError extends Error {
  override name = 'KeysUnavailableError'
}

export interface IssuerKeysInit {
  /** Paths of files begin here */
  directory: string
  /** Ends fetches */
  signal: AbortSignal
  /** @default Date.now */
  now?: (() => number) | undefined
}

export class IssuerKeys {
  readonly #log: Logger
  readonly #issuer: Pick<Issuer, 'name' | 'issuer' | 'jwks'>
  readonly #init: IssuerKeysInit
  readonly #kind: 'url' | 'file'
  readonly #now: () => number
  #find: JWTVerifyGetKey | undefined
  #readAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #reading: Promise<void> | undefined

  constructor({ log }: { log: Logger }, issuer: Pick<Issuer, 'name' | 'issuer' | 'jwks'>, init: IssuerKeysInit) {
    this.#log = log
    this.#issuer = issuer
    this.#init = init
    this.#kind = issuer.jwks === undefined || isHttpUrl(issuer.jwks) ? 'url' : 'file'
    this.#now = init.now ?? Date.now
  }

  /**
   * The key that signed a token, as `jwtVerify` asks for it
   *
   * @throws KeysUnavailableError; Error of jose where there is no such key
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const age = this.#now() - this.#readAt
    if (this.#find === undefined || age > keepFor) {
      await this.#read()
    } else if (age > refreshAfter[this.#kind] && this.#mayTry) {
      // whatever comes of it has been logged
      this.#read().catch(() => {})
    }
    try {
      return await this.#find!(header, token)
    } catch (err) {
      if ((err as { code?: string }).code !== 'ERR_JWKS_NO_MATCHING_KEY' || !this.#mayTry) {
        throw err
      }
      // the issuer may have a new key
      await this.#read()
      return await this.#find!(header, token)
    }
  }

  get #mayTry(): boolean {
    return this.#now() - this.#triedAt > waitBetween[this.#kind]
  }

  /** @throws KeysUnavailableError; the keys that were there before stay */
  async #read(): Promise<void> {
    if (this.#reading === undefined && !this.#mayTry) {
      throw this.#unavailable()
    }
    this.#reading ??= this.#readNow().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  async #readNow(): Promise<void> {
    this.#triedAt = this.#now()
    try {
      const { createLocalJWKSet } = await import('jose')
      this.#find = createLocalJWKSet(usableKeys(await this.#load()))
      this.#readAt = this.#now()
    } catch (err) {
      this.#log.error("the keys of an issuer can't be read", {
        issuer: this.#issuer.name,
        reason: (err as Error).message,
        keysOfBefore: this.#find === undefined ? 'none' : 'in use',
      })
      throw this.#unavailable(err)
    }
  }

  async #load(): Promise<unknown> {
    const { issuer, jwks } = this.#issuer
    const { directory, signal } = this.#init
    if (jwks !== undefined) {
      return this.#kind === 'url'
        ? await fetchJson(jwks, { signal })
        : JSON.parse(await readFile(resolve(directory, jwks), { encoding: 'utf8', signal }))
    }
    return await fetchJson(endpointOf(await discover(issuer, { signal }), 'jwks_uri'), { signal })
  }

  #unavailable(cause?: unknown): KeysUnavailableError {
    return new KeysUnavailableError(`the keys of the issuer ${this.#issuer.name} can't be had now`, { cause })
  }
}

/** @throws Error where it is no key set, or one of unreasonably many keys */
function usableKeys(value: unknown): JSONWebKeySet {
  const { keys } = (value ?? {}) as { keys?: unknown }
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > maxKeys) {
    throw new Error(`it is no JSON Web Key Set of 1 to ${maxKeys} keys`)
  }
  return { keys }
}
