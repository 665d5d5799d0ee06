/**
 * Buffers of one size that are used again. Large buffers lie outside the JavaScript heap, so the garbage collector
 * hardly notices them: if each leaf had a new one, they would pile up to many times what is in use. The memory is
 * shared, so that other threads can use it.
 */
export class BufferPool {
  readonly size: number
  readonly #maxFree: number
  readonly #free: Uint8Array[] = []

  /**
   * @param size bytes of each buffer
   * @param maxFree how many unused buffers are kept for the next ones who need them
   */
  constructor(size: number, maxFree: number) {
    this.size = size
    this.#maxFree = maxFree
  }

  /** A buffer with whatever bytes it held before. It need not be given back: the garbage collector frees it then. */
  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(this.size))
  }

  /** @param buffer from {@link take}; its bytes may be overwritten from now on */
  give(buffer: Uint8Array): void {
    if (this.#free.length < this.#maxFree) {
      this.#free.push(buffer)
    }
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
