/**
 * Buffers of one size that are used again. Large buffers live outside the JavaScript heap, where the garbage collector hardly sees them:
 * made anew for each leaf, they would pile up to many times what is in use. Their memory is shared, so that other threads can read them.
 */
export class BufferPool {
  readonly size: number
  readonly #maxFree: number
  readonly #free: Uint8Array[] = []

  /**
   * @param size bytes of each buffer
   * @param maxFree how many buffers are kept that nobody uses
   */
  constructor(size: number, maxFree: number) {
    this.size = size
    this.#maxFree = maxFree
  }

  /** A buffer that holds whatever it held before; one that is never given back is garbage like any other */
  take(): Uint8Array {
    return this.#free.pop() ?? Buffer.from(new SharedArrayBuffer(this.size))
  }

  /** @param buffer of {@link take}, which nothing refers to any more */
  give(buffer: Uint8Array): void {
    if (this.#free.length < this.#maxFree) {
      this.#free.push(buffer)
    }
  }
}

/**
 * Copies bytes into shared memory. `TypedArray.set` does that word by word, for the sake of threads that look on, which takes five times as long;
 * so does `Buffer.copy` unless it is a part of the source that is copied.
 */
export function copyToShared(source: Uint8Array, target: Uint8Array, offset: number): void {
  const last = source.byteLength - 1
  if (last >= 0) {
    Buffer.from(source.buffer, source.byteOffset, source.byteLength).copy(target, offset, 0, last)
    target[offset + last] = source[last]!
  }
}
