/** Bytes on their way to the consumer */
export interface Chunk {
  bytes: Uint8Array
  /** Called when the consumer asks for the next chunk or takes no more, so `bytes` may be overwritten */
  release?: (() => void) | undefined
}

export interface ReadAheadInit<Item> {
  /** Called once the first chunk is asked for */
  items: () => AsyncIterable<Item>
  read: (item: Item) => Promise<Chunk>
  /** The most chunks that wait for the consumer */
  ahead: number
  /** Called when the consumer has all chunks, stops taking them, or gets an error */
  onEnd?: (() => void) | undefined
}

/**
 * Reads the chunks of a body ahead of the consumer, and yields them in order. A slow consumer holds up the reads.
 *
 * The first chunk is read with only the next one behind it, and each chunk that is taken doubles how many are: so the
 * first does not share the line with many that nobody waits for yet.
 */
export async function* readAhead<Item>(init: ReadAheadInit<Item>): AsyncGenerator<Uint8Array> {
  const started: Array<Promise<Chunk>> = []
  let taken: Chunk | undefined
  let waiting = 1
  try {
    for await (const item of init.items()) {
      const chunk = init.read(item)
      // a failure is thrown when its turn comes; if the consumer stops before that, nobody hears of it
      chunk.catch(() => {})
      started.push(chunk)
      if (started.length > waiting) {
        taken = await started.shift()!
        yield taken.bytes
        taken.release?.()
        taken = undefined
        waiting = Math.min(init.ahead, 2 * waiting)
      }
    }
    while (started.length > 0) {
      taken = await started.shift()!
      yield taken.bytes
      taken.release?.()
      taken = undefined
    }
  } finally {
    taken?.release?.()
    started.forEach(releaseLater)
    init.onEnd?.()
  }
}

/** A chunk that nobody waits for any more is still being read */
function releaseLater(chunk: Promise<Chunk>): void {
  chunk.then(
    ({ release }) => release?.(),
    () => {},
  )
}
