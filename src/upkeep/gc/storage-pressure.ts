import type { Logger } from '../../log.ts'

const second = 1000
const mebibyte = 1024 * 1024

/**
 * Before a cycle begins: by then, the requests that were refused for lack of room have ended, and their blocks are
 * garbage
 */
const delay = second
/** The least pause after a cycle that was begun for lack of room */
const leastPause = 10 * second
/** That pause is at least this many times as long as the cycle took */
const pauseFactor = 10
/** The cache may exceed its limit by this share, or by this many bytes, before a cycle is begun for it */
const cacheTolerance = 0.1
const leastCacheTolerance = 16 * mebibyte

export interface StoragePressureComponents {
  /** Runs a cycle of garbage collection that begins after the call */
  collect: () => Promise<unknown>
  log: Logger
}

export interface StoragePressureInit {
  /** Bytes that images of other nodes may take */
  cacheBytes: number
}

/**
 * Begins garbage collection where there is no room for a push, or the cache clearly exceeds its limit; with pauses, so
 * that it does not run all the time
 */
export class StoragePressure {
  readonly #components: StoragePressureComponents
  readonly #cacheLimit: number
  /** The most bytes for which there was no room since the last cycle began; undefined: there was always room */
  #wanted: number | undefined
  /**
   * Bytes of the cache after the last cycle; the next two: what was fetched since it began, and what had been fetched
   * then
   */
  #cached = 0
  #fetched = 0
  #fetchedBefore = 0
  #timer: NodeJS.Timeout | undefined
  #running = false
  #earliest = 0
  #stopped = false

  constructor(components: StoragePressureComponents, { cacheBytes }: StoragePressureInit) {
    this.#components = components
    this.#cacheLimit = Math.max(cacheBytes * (1 + cacheTolerance), cacheBytes + leastCacheTolerance)
  }

  /** Whether room is needed that no running cycle makes */
  get isPressing(): boolean {
    return this.#wanted !== undefined
  }

  /** Bytes of the images of other nodes after the last cycle */
  get cachedBytes(): number {
    return this.#cached
  }

  start(): void {
    this.#stopped = false
  }

  /** Begins no more cycles */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** To be called where there was no room for so many bytes */
  full(bytes: number): void {
    this.#press(bytes)
  }

  /** To be called where so many bytes were fetched from other nodes and kept */
  fetched(bytes: number): void {
    this.#fetched += bytes
    if (this.#cached + this.#fetched > this.#cacheLimit) {
      this.#press(0)
    }
  }

  /**
   * To be called when a cycle begins
   *
   * @returns the bytes for which the cycle has to make room; undefined where there was always room
   */
  begin(): number | undefined {
    const wanted = this.#wanted
    this.#wanted = undefined
    this.#fetchedBefore = this.#fetched
    return wanted
  }

  /**
   * To be called when a cycle has ended
   *
   * @param cachedBytes of the images of other nodes that stay
   */
  end(cachedBytes: number): void {
    this.#cached = cachedBytes
    this.#fetched -= this.#fetchedBefore
  }

  #press(bytes: number): void {
    this.#wanted = Math.max(this.#wanted ?? 0, bytes)
    if (this.#stopped || this.#running || this.#timer !== undefined) {
      return
    }
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        void this.#collect()
      },
      Math.max(delay, this.#earliest - performance.now()),
    ).unref()
  }

  async #collect(): Promise<void> {
    // another cycle may have begun meanwhile
    if (this.#wanted === undefined) {
      return
    }
    const { collect, log } = this.#components
    const began = performance.now()
    this.#running = true
    log.warn(
      this.#wanted > 0 ? 'storage is full: garbage is collected' : 'the cache is over its limit: garbage is collected',
      { wanted: this.#wanted },
    )
    // the collector logs its failures
    await collect().catch(() => {})
    this.#running = false
    const now = performance.now()
    this.#earliest = now + Math.max(leastPause, pauseFactor * (now - began))
    if (this.#wanted !== undefined) {
      this.#press(this.#wanted)
    }
  }
}
