import { setImmediate } from 'node:timers/promises'

/** Bytes of all bodies together after which other requests get their turn: about half a millisecond of work */
const bytesPerTurn = 256 * 1024
/**
 * Lets the event loop serve other requests while bodies arrive. From a fast client Node reads up to 2 MiB at once, so
 * with many uploads a small request would wait for 2 MiB of each. A single upload never pauses: the wait for one is
 * short. One of these counts the bodies of the whole process.
 */
export class BodyTurns {
  /** Bodies that are being read */
  #bodies = 0

  async *pass(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#bodies++
    try {
      let bytes = 0
      for await (const chunk of body) {
        yield chunk
        bytes += chunk.byteLength
        if (this.#bodies > 1 && bytes >= bytesPerTurn / this.#bodies) {
          bytes = 0
          await setImmediate()
        }
      }
    } finally {
      this.#bodies--
    }
  }
}
