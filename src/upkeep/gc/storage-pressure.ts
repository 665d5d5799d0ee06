import type { Logger } from '../../log.ts'

const second = 1000
const mebibyte = 1024 * 1024

/** Until a cycle begins, so that the requests that are refused have ended, and what they brought is nobody's */
const delay = second
/** From the end of a cycle that was begun here to the next, at least; and so many times as long as it took */
const leastPause = 10 * second
const pauseFactor = 10
/** The cache may outgrow its room by this part of it, or this much, before a cycle is begun for it */
const cacheTolerance = 0.1
const leastCacheTolerance = 16 * mebibyte

export interface StoragePressureComponents {
  /** Runs a cycle of garbage collection that begins after the call */
  collect: () => Promise<unknown>
  log: Logger
}

export interface StoragePressureInit {
  /** What was fetched from other nodes may take so many bytes */
  cacheBytes: number
}

/** Has garbage collected where there is no room for a push, or where the cache has clearly outgrown its own: once, not again and again */
export class StoragePressure {
  readonly #components: StoragePressureComponents
  readonly #cacheLimit: number
  /** Bytes that were wanted in vain since the last cycle began */
  #wanted: number | undefined
  /** Bytes of the cache after the last cycle, and what came since that began */
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

  /** Whether room is wanting that no cycle makes yet */
  get isPressing(): boolean {
    return this.#wanted !== undefined
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

  /** There was no room for so many bytes */
  full(bytes: number): void {
    this.#press(bytes)
  }

  /** So many bytes were fetched from other nodes and kept */
  fetched(bytes: number): void {
    this.#fetched += bytes
    if (this.#cached + this.#fetched > this.#cacheLimit) {
      this.#press(0)
    }
  }

  /**
   * To be called where a cycle begins
   *
   * @returns the bytes for which it has to make room; undefined where nothing presses
   */
  begin(): number | undefined {
    const wanted = this.#wanted
    this.#wanted = undefined
    this.#fetchedBefore = this.#fetched
    return wanted
  }

  /** @param cachedBytes that were fetched from other nodes and stay */
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
      this.#wanted > 0
        ? 'storage is full: garbage is collected'
        : 'the cache has outgrown its room: garbage is collected',
      { wanted: this.#wanted },
    )
    // what goes wrong is in the log of the collector
    await collect().catch(() => {})
    this.#running = false
    const now = performance.now()
    this.#earliest = now + Math.max(leastPause, pauseFactor * (now - began))
    if (this.#wanted !== undefined) {
      this.#press(this.#wanted)
    }
  }
}
