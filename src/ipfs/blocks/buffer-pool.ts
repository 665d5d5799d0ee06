/** How long buffers are kept that are more than a pool keeps for good; milliseconds */
const surplusTime = 10_000

/**
 * Buffers of one size that are used again. Large buffers lie outside the JavaScript heap, so the garbage collector
 * hardly notices them, and shared memory not at all: if each leaf had a new one, they would pile up to many times what
 * is in use. The memory is shared, so that other threads can use it.
 */
export class BufferPool {
  readonly size: number
  readonly #maxFree: number
  readonly #free: Uint8Array[] = []
  /** The fewest that were free since the last look */
  #spare = 0
  #timer: NodeJS.Timeout | undefined

  /**
   * @param size bytes of each buffer
   * @param maxFree how many unused buffers are kept for good; more of them stay while they are needed now and then
   */
  constructor(size: number, maxFree: number) {
    this.size = size
    this.#maxFree = maxFree
  }

  /** Buffers that nobody uses */
  get free(): number {
    return this.#free.length
  }

  /** A buffer with whatever bytes it held before; whoever takes it gives it back, however its work ends */
  take(): Uint8Array {
    const buffer = this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(this.size))
    this.#spare = Math.min(this.#spare, this.#free.length)
    return buffer
  }

  /** @param buffer from {@link take}; its bytes may be overwritten from now on */
  give(buffer: Uint8Array): void {
    this.#free.push(buffer)
    if (this.#timer === undefined) {
      this.#watch()
    }
  }

  #watch(): void {
    this.#spare = this.#free.length
    this.#timer = this.#spare > this.#maxFree ? setTimeout(() => this.#drop(), surplusTime).unref() : undefined
  }

  /** What was not needed for a while is left to the garbage collector */
  #drop(): void {
    this.#free.length = Math.max(Math.min(this.#maxFree, this.#free.length), this.#free.length - this.#spare)
    this.#watch()
  }
}

/**
 * Copies bytes into shared memory. V8 copies a whole array into it word by word (`TypedArray.set`, and `Buffer.copy` of
 * all of the source), which takes five times as long as copying a part of the source. So this copies all but the last
 * byte, and then that one.
 */
export function copyToShared(source: Uint8Array, target: Uint8Array, offset: number): void {
  const last = source.byteLength - 1
  if (last >= 0) {
    Buffer.from(source.buffer, source.byteOffset, source.byteLength).copy(target, offset, 0, last)
    target[offset + last] = source[last]!
  }
}
