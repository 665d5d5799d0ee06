/**
 * The keys that sign our tokens, as a JSON Web Key Set with private parts. A new one is made from time to time; older
 * ones still verify until every token that they signed has expired, so nobody has to log in again.
 */
import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import type { Logger } from '../log.ts'

export const algorithm = 'EdDSA'
const day = 24 * 3600 * 1000
const rotateAfter = 30 * day
/** Longer than {@link rotateAfter} and the life of a refresh token together */
const keepFor = 130 * day

interface StoredKey extends JWK {
  kid: string
  /** When it was made, as `Date.toISOString` writes it */
  made: string
}

export interface KeyStore {
  /** Undefined where there is none yet */
  read: () => Promise<string | undefined>
  write: (text: string) => Promise<void>
}

type Key = Awaited<ReturnType<typeof importJWK>>

export class TokenKeys {
  readonly #store: KeyStore
  readonly #log: Logger
  readonly #interval: number
  #timer: NodeJS.Timeout | undefined
  #keys: { kid: string; made: number; key: Key; publicKey: Key }[] = []

  /** @param init.interval between two looks whether it is time for a new key; milliseconds */
  constructor({ store, log }: { store: KeyStore; log: Logger }, { interval }: { interval: number }) {
    this.#store = store
    this.#log = log
    this.#interval = interval
  }

  async start(): Promise<void> {
    await this.rotate()
    this.#timer ??= setInterval(() => {
      this.rotate().catch((err: unknown) => {
        this.#log.error('the keys that sign tokens could not be rotated', { err })
      })
    }, this.#interval).unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /**
   * Reads the keys, makes one where the newest is too old, and forgets those that signed nothing that is still valid
   */
  async rotate(now = Date.now()): Promise<void> {
    const text = await this.#store.read()
    const stored = text === undefined ? [] : parseKeys(text)
    const kept = stored.filter(({ made }) => Date.parse(made) > now - keepFor)
    if (!kept.some(({ made }) => Date.parse(made) > now - rotateAfter)) {
      const { privateKey } = await generateKeyPair(algorithm, { crv: 'Ed25519', extractable: true })
      kept.unshift({ ...(await exportJWK(privateKey)), kid: randomUUID(), made: new Date(now).toISOString() })
      await this.#store.write(`${JSON.stringify({ keys: kept }, undefined, 2)}\n`)
    }
    this.#keys = await Promise.all(
      kept.map(async ({ kid, made, ...jwk }) => ({
        kid,
        made: Date.parse(made),
        key: await importJWK(jwk, algorithm),
        publicKey: await importJWK({ ...jwk, d: undefined }, algorithm),
      })),
    )
  }

  get newest(): { kid: string; key: Key } {
    const [first, ...others] = this.#keys
    if (first === undefined) {
      throw new Error('no key has been read yet')
    }
    return others.reduce((newest, other) => (other.made > newest.made ? other : newest), first)
  }

  /** @throws Error where no such key signs tokens */
  publicKey(kid: string | undefined): Key {
    const found = this.#keys.find(key => key.kid === kid)
    if (found === undefined) {
      throw new Error('signed by a key that is not ours')
    }
    return found.publicKey
  }
}

/** @throws Error where the text holds no keys */
function parseKeys(text: string): StoredKey[] {
  const { keys } = JSON.parse(text) as { keys?: unknown }
  if (!Array.isArray(keys) || !keys.every(isStoredKey)) {
    throw new Error('it holds no keys')
  }
  return keys
}

function isStoredKey(value: unknown): value is StoredKey {
  const { kid, made, d } = (value ?? {}) as Record<string, unknown>
  return typeof kid === 'string' && typeof d === 'string' && !Number.isNaN(Date.parse(String(made)))
}
