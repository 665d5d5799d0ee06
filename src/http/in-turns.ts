import { setImmediate } from 'node:timers/promises'

/** What all bodies together bring before others get their turn: half a millisecond of work */
const bytesPerTurn = 256 * 1024
let bodies = 0

/**
 * Passes a body on, and lets others have their turn in between. Node reads up to 2 MiB at once from each connection that a fast client fills;
 * a small request would wait for that of all of them. With one alone it does not wait long.
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
