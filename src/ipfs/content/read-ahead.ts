/** Bytes on their way to the consumer */
export interface Chunk {
  bytes: Uint8Array
  /** Called when the consumer asks for the next chunk, so `bytes` may be overwritten */
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
  let waiting = 1
  try {
    for await (const item of init.items()) {
      const chunk = init.read(item)
      // a failure is thrown when its turn comes; if the consumer stops before that, nobody hears of it
      chunk.catch(() => {})
      started.push(chunk)
      if (started.length > waiting) {
        const { bytes, release } = await started.shift()!
        yield bytes
        release?.()
        waiting = Math.min(init.ahead, 2 * waiting)
      }
    }
    for (const chunk of started) {
      const { bytes, release } = await chunk
      yield bytes
      release?.()
    }
  } finally {
    init.onEnd?.()
  }
}
