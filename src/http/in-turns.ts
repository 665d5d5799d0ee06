import { setImmediate } from 'node:timers/promises'

/** Bytes of all bodies together after which other requests get their turn: about half a millisecond of work */
const bytesPerTurn = 256 * 1024
let bodies = 0

/**
 * Passes a body on, and lets the event loop serve other requests in between. From a fast client Node reads up to 2 MiB
 * at once, so with many uploads a small request would wait for 2 MiB of each. A single upload never pauses: the wait
 * for one is short.
 */
export async function* inTurns(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  bodies++
  try {
    let bytes = 0
    for await (const chunk of body) {
      yield chunk
      bytes += chunk.byteLength
      if (bodies > 1 && bytes >= bytesPerTurn / bodies) {
        bytes = 0
        await setImmediate()
      }
    }
  } finally {
    bodies--
  }
}
