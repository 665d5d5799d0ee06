import { LRUCache } from 'lru-cache'
import { raceSignal } from 'race-signal'
import type { Logger } from '../../log.ts'
import { UnavailableError } from '../errors.ts'
import type { NameNotFoundError } from './errors.ts'
import type { NameTarget } from './name-target.ts'

/** What a look-up found out, and for how many seconds that holds */
export interface NameAnswer {
  target: NameTarget
  ttl: number
}

export interface NameCacheComponents {
  /** Asks the network; throws NameNotFoundError where there is certainly no answer */
  lookUp: (name: string, options: { signal: AbortSignal }) => Promise<NameAnswer>
  log: Logger
}

export interface NameCacheInit {
  /**
   * A look-up ends within this; milliseconds
   *
   * @default 30000
   */
  timeout?: number
  /**
   * For how long after its end an answer is still given where it can't be had anew; milliseconds
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
/** An answer is asked for again after this at the latest, whatever its owner says */
const maxTtl = 24 * hour
const maxNegativeTtl = minute
/** Time between two look-ups of a name whose last answer is given although it has ended */
const retryInterval = 30 * second

/**
 * Keeps what names point to for as long as their owners say. All who ask for the same name at a time share one look-up.
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

  /** Aborts what is under way */
  stop(): void {
    this.#controller.abort(new Error('The server stops'))
  }

  #start(name: string): Promise<NameAnswer> {
    const pending = this.#lookUp(name).finally(() => {
      this.#pending.delete(name)
    })
    // whoever asked may have gone
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
        late ? new UnavailableError(`${name} not resolved within ${this.#timeout} ms`, { cause: err }) : err,
      )
    }
  }

  #afterFailure(name: string, err: unknown): NameAnswer {
    const entry = this.#entries.peek(name)
    if ((err as Error).name === 'NameNotFoundError') {
      const error = err as NameNotFoundError
      this.#entries.set(name, { error, expires: Date.now() + Math.min(error.ttl * second, maxNegativeTtl) })
    } else if (entry !== undefined && 'target' in entry && entry.staleUntil > Date.now()) {
      this.#components.log.warn('name not resolved again; its last answer is used', { name, err })
      entry.expires = Date.now() + retryInterval
      return { target: entry.target, ttl: retryInterval / second }
    }
    throw err
  }
}
