import { LRUCache } from 'lru-cache'
import { raceSignal } from 'race-signal'
import type { Logger } from '../../log.ts'
import { UnavailableError } from '../errors.ts'
import type { NameNotFoundError } from './errors.ts'
import type { NameTarget } from './name-target.ts'

/** What a name points to, and for how many seconds that holds */
export interface NameAnswer {
  target: NameTarget
  ttl: number
}

export interface NameCacheComponents {
  /** Asks the network; throws NameNotFoundError where it answered that the name points to nothing */
  lookUp: (name: string, options: { signal: AbortSignal }) => Promise<NameAnswer>
  log: Logger
}

export interface NameCacheInit {
  /**
   * A look-up fails after this; milliseconds
   *
   * @default 30000
   */
  timeout?: number
  /**
   * How long an answer is used beyond its TTL while a new one can't be had; milliseconds
   *
   * @default 1 hour
   */
  maxStale?: number
}

type Entry = { expires: number } & ({ target: NameTarget; staleUntil: number } | { error: NameNotFoundError })

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const maxEntries = 1000
/** The longest that an answer holds, whatever TTL its owner gave it */
const maxTtl = 24 * hour
/** The same for the answer that a name points to nothing */
const maxNegativeTtl = minute
/** Time between two look-ups of a name whose answer is used beyond its TTL */
const retryInterval = 30 * second

/**
 * Keeps what names point to for as long as their owners say. Look-ups of the same name at the same time share one
 * answer.
 */
export class NameCache {
  readonly #components: NameCacheComponents
  readonly #timeout: number
  readonly #maxStale: number
  readonly #entries = new LRUCache<string, Entry>({ max: maxEntries })
  readonly #pending = new Map<string, Promise<NameAnswer>>()
  readonly #controller = new AbortController()

  constructor(components: NameCacheComponents, init: NameCacheInit = {}) {
    this.#components = components
    this.#timeout = init.timeout ?? 30 * second
    this.#maxStale = init.maxStale ?? hour
  }

  async get(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<NameAnswer> {
    const entry = this.#entries.peek(name)
    if (entry !== undefined && entry.expires > Date.now()) {
      if ('error' in entry) {
        throw entry.error
      }
      return { target: entry.target, ttl: Math.ceil((entry.expires - Date.now()) / second) }
    }
    return await raceSignal(this.#pending.get(name) ?? this.#start(name), options.signal)
  }

  /** Aborts the look-ups that are under way */
  stop(): void {
    this.#controller.abort(new Error('The server stops'))
  }

  #start(name: string): Promise<NameAnswer> {
    const pending = this.#lookUp(name).finally(() => {
      this.#pending.delete(name)
    })
    // without the catch a failure would be unhandled if all who asked have gone
    pending.catch(() => {})
    this.#pending.set(name, pending)
    return pending
  }

  async #lookUp(name: string): Promise<NameAnswer> {
    const signal = AbortSignal.any([this.#controller.signal, AbortSignal.timeout(this.#timeout)])
    try {
      const { target, ttl } = await raceSignal(this.#components.lookUp(name, { signal }), signal)
      const expires = Date.now() + Math.min(ttl * second, maxTtl)
      this.#entries.set(name, { target, expires, staleUntil: expires + this.#maxStale })
      return { target, ttl }
    } catch (err) {
      const late = (err as Error).name === 'TimeoutError'
      return this.#afterFailure(
        name,
        late ? new UnavailableError(`${name} was not resolved within ${this.#timeout} ms`, { cause: err }) : err,
      )
    }
  }

  #afterFailure(name: string, err: unknown): NameAnswer {
    const entry = this.#entries.peek(name)
    if ((err as Error).name === 'NameNotFoundError') {
      const error = err as NameNotFoundError
      this.#entries.set(name, { error, expires: Date.now() + Math.min(error.ttl * second, maxNegativeTtl) })
    } else if (entry !== undefined && 'target' in entry && entry.staleUntil > Date.now()) {
      this.#components.log.warn('name not resolved again; using its last answer', { name, err })
      entry.expires = Date.now() + retryInterval
      return { target: entry.target, ttl: retryInterval / second }
    }
    throw err
  }
}
