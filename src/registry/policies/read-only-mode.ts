import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { OciError } from '../../oci/errors.ts'
import type { Logger } from '../../log.ts'

/** How long to wait for writes that are under way when the mode is switched on; milliseconds */
const settleTime = 10_000
const maxReasonLength = 200

export interface ReadOnlyState {
  /** As `Date.toISOString` writes it */
  since: string
  /** What clients are told; undefined: only that it is so */
  reason?: string | undefined
}

/** Where the state survives a restart */
export interface ReadOnlyStore {
  /** Undefined where the registry is not read-only */
  read: () => Promise<string | undefined>
  write: (text: string) => Promise<void>
  remove: () => Promise<void>
}

export interface ReadOnlyModeInit {
  /** Whether every start begins read-only */
  always?: boolean | undefined
  /** Milliseconds; @default 10 seconds */
  settle?: number | undefined
}

/**
 * Whether the registry only serves what it has: pushes, deletes, tags, mounts and whatever else changes its content are
 * refused. Who writes holds a place here ({@link ReadOnlyMode.begin}), so that whoever switches the mode on knows when
 * the last write has ended.
 */
export class ReadOnlyMode {
  readonly #store: ReadOnlyStore
  readonly #log: Logger
  readonly #always: boolean
  readonly #settle: number
  #state: ReadOnlyState | undefined
  #controller = new AbortController()
  #writes = 0
  #onIdle: (() => void) | undefined

  constructor({ store, log }: { store: ReadOnlyStore; log: Logger }, init: ReadOnlyModeInit = {}) {
    this.#store = store
    this.#log = log
    this.#always = init.always === true
    this.#settle = init.settle ?? settleTime
    setMaxListeners(0, this.#controller.signal)
  }

  async start(): Promise<void> {
    const text = await this.#store.read()
    const state = text === undefined ? undefined : this.#parse(text)
    if (state !== undefined || this.#always) {
      this.#enter(state ?? { since: new Date().toISOString() })
    }
  }

  /** Undefined where writes are allowed */
  get state(): ReadOnlyState | undefined {
    return this.#state
  }

  /** For a human; undefined where writes are allowed */
  get note(): string | undefined {
    const { reason } = this.#state ?? {}
    return this.#state === undefined ? undefined : `read-only${reason === undefined ? '' : `: ${reason}`}`
  }

  /** Is aborted once the mode is switched on; another one after it is switched off */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** @throws OciError UNSUPPORTED */
  requireWritable(): void {
    if (this.#state !== undefined) {
      throw this.#refusal()
    }
  }

  /**
   * To be disposed of when the write has ended
   *
   * @throws OciError UNSUPPORTED
   */
  begin(): Disposable {
    this.requireWritable()
    this.#writes++
    let isHeld = true
    return {
      [Symbol.dispose]: () => {
        if (isHeld) {
          isHeld = false
          this.#writes--
          if (this.#writes === 0) {
            this.#onIdle?.()
          }
        }
      },
    }
  }

  /**
   * Refuses further writes, breaks off those that have a signal, and waits for the others, though not for ever
   *
   * @returns how many writes have not ended
   * @throws OciError REQUEST_INVALID where the reason is not one short line; UNAVAILABLE where the state can't be
   *   saved, and nothing is changed
   */
  async turnOn(reason?: string): Promise<number> {
    if (reason !== undefined && (reason.length > maxReasonLength || /\p{Cc}/u.test(reason))) {
      throw new OciError('REQUEST_INVALID', {
        detail: { reason: `the reason must be one line of at most ${maxReasonLength} characters` },
      })
    }
    const state = { since: this.#state?.since ?? new Date().toISOString(), reason }
    await this.#save(async () => {
      await this.#store.write(`${JSON.stringify(state)}\n`)
    })
    this.#enter(state)
    await this.#idle()
    return this.#writes
  }

  /**
   * @returns 0: no write waits for anything
   * @throws OciError UNAVAILABLE where the state can't be saved, and nothing is changed
   */
  async turnOff(): Promise<number> {
    await this.#save(async () => {
      await this.#store.remove()
    })
    if (this.#state !== undefined) {
      this.#state = undefined
      this.#controller = new AbortController()
      setMaxListeners(0, this.#controller.signal)
      this.#log.warn('the registry takes writes again')
    }
    return 0
  }

  #enter(state: ReadOnlyState): void {
    this.#state = state
    this.#log.warn('the registry is read-only; "ipdr read-only off" ends it', { ...state })
    this.#controller.abort(this.#refusal())
  }

  async #save(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (err) {
      throw new OciError('UNAVAILABLE', {
        detail: { reason: `the mode can't be saved: ${(err as NodeJS.ErrnoException).code}` },
        cause: err,
      })
    }
  }

  async #idle(): Promise<void> {
    if (this.#writes === 0) {
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle = resolve
    const controller = new AbortController()
    try {
      await Promise.race([promise, sleep(this.#settle, undefined, { signal: controller.signal }).catch(() => {})])
    } finally {
      this.#onIdle = undefined
      controller.abort()
    }
  }

  /**
   * Not 503, as docker would try again for minutes. The reason is in the message, too, because docker shows nothing
   * else.
   */
  #refusal(): OciError {
    const { since } = this.#state!
    return new OciError('UNSUPPORTED', {
      message: `the registry is ${this.note}`,
      detail: { since },
      headers: { Allow: 'GET, HEAD' },
    })
  }

  /** A file that can't be read is there because the mode was switched on */
  #parse(text: string): ReadOnlyState {
    try {
      const { since, reason } = JSON.parse(text) as Record<string, unknown>
      if (typeof since === 'string' && (reason === undefined || typeof reason === 'string')) {
        return { since, reason }
      }
    } catch {
      // as below
    }
    return { since: new Date().toISOString() }
  }
}
