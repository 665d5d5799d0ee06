/**
 * Waits for one chunk of a body after the other, and can be made to fail while it waits. Not by Promise.race(): a
 * promise that lives as long as the body would gather a listener for each chunk.
 */
export class ChunkWait {
  #fail: ((err: Error) => void) | undefined

  /** Whether the next chunk is being waited for */
  get isOn(): boolean {
    return this.#fail !== undefined
  }

  /** Whoever waits gets this error; nothing happens where nobody does */
  fail(err: Error): void {
    this.#fail?.(err)
  }

  async next(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      return await new Promise((resolve, reject) => {
        this.#fail = reject
        source.next().then(resolve, reject)
      })
    } finally {
      this.#fail = undefined
    }
  }
}
