/**
 * The keys that sign our tokens, as a JSON Web Key Set with private parts. A new one is made from time to time; older
 * ones still verify until every token that they signed has expired, so nobody has to log in again.
 */
import { randomUUID } from 'node:crypto'
import type { importJWK, JWK } from 'jose'
import type { Logger } from '../../log.ts'
import { AccessFileError } from '../files/errors.ts'

export const algorithm = 'EdDSA'
const hour = 3600 * 1000
const day = 24 * hour
const rotateAfter = 30 * day
/** Longer than {@link rotateAfter} and the life of a refresh token together */
const keepFor = 130 * day

interface StoredKey extends JWK {
  kid: string
  /** When it was made, as `Date.toISOString` writes it */
  made: string
}

export interface KeyStore {
  /** Of the file, for messages */
  name: string
  /** Undefined where there is none yet */
  read: () => Promise<string | undefined>
  write: (text: string) => Promise<void>
}

interface TokenKey {
  kid: string
  made: number
  key: Key
  publicKey: Key
}

type Key = Awaited<ReturnType<typeof importJWK>>

/** Are read, or made, with the first token, so that a registry without a log-in has none */
export class TokenKeys {
  readonly #store: KeyStore
  readonly #log: Logger
  #keys: TokenKey[] = []
  #rotating: Promise<void> | undefined
  /** When to look whether it is time for a new key; on the clock of `Date` */
  #due = 0

  constructor({ store, log }: { store: KeyStore; log: Logger }) {
    this.#store = store
    this.#log = log
  }

  /** @throws AccessFileError where there are keys that can't be used, and none in memory */
  async load(): Promise<void> {
    if (Date.now() < this.#due) {
      return
    }
    this.#rotating ??= this.rotate().finally(() => {
      this.#rotating = undefined
    })
    try {
      await this.#rotating
    } catch (err) {
      if (this.#keys.length === 0) {
        throw err
      }
      this.#log.error('the keys that sign tokens could not be rotated', { err })
    }
    this.#due = Date.now() + hour
  }

  /**
   * Reads the keys, makes one where the newest is too old, and forgets those that signed nothing that is still valid
   */
  async rotate(now = Date.now()): Promise<void> {
    const text = await this.#store.read()
    const stored = text === undefined ? [] : parseKeys(this.#store.name, text)
    const jose = await import('jose')
    const kept = stored.filter(({ made }) => Date.parse(made) > now - keepFor)
    if (!kept.some(({ made }) => Date.parse(made) > now - rotateAfter)) {
      const { privateKey } = await jose.generateKeyPair(algorithm, { crv: 'Ed25519', extractable: true })
      kept.unshift({ ...(await jose.exportJWK(privateKey)), kid: randomUUID(), made: new Date(now).toISOString() })
      await this.#store.write(`${JSON.stringify({ keys: kept }, undefined, 2)}\n`)
    }
    this.#keys = await Promise.all(
      kept.map(async ({ kid, made, ...jwk }) => ({
        kid,
        made: Date.parse(made),
        key: await jose.importJWK(jwk, algorithm),
        publicKey: await jose.importJWK({ ...jwk, d: undefined }, algorithm),
      })),
    )
  }

  /** That signs new tokens */
  async newest(): Promise<TokenKey> {
    await this.load()
    return this.#keys.reduce((newest, other) => (other.made > newest.made ? other : newest))
  }

  /** @throws Error where no such key signs tokens */
  async publicKey(kid: string | undefined): Promise<Key> {
    await this.load()
    const found = this.#keys.find(key => key.kid === kid)
    if (found === undefined) {
      throw new Error('signed by a key that is not ours')
    }
    return found.publicKey
  }
}

/** @throws AccessFileError where the text holds no keys */
function parseKeys(name: string, text: string): StoredKey[] {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown }
    if (Array.isArray(keys) && keys.every(isStoredKey)) {
      return keys
    }
  } catch {
    // what is no JSON holds no keys
  }
  throw new AccessFileError(name, [
    {
      line: 1,
      column: 1,
      message: 'holds no keys; where it is deleted, a new one is made, and everybody logs in again',
    },
  ])
}

function isStoredKey(value: unknown): value is StoredKey {
  const { kid, made, d } = (value ?? {}) as Record<string, unknown>
  return typeof kid === 'string' && typeof d === 'string' && !Number.isNaN(Date.parse(String(made)))
}
