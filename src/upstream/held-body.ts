import type { HeldAnswer } from './upstream-requests.ts'

export interface HeldBodyInit {
  signal?: AbortSignal | undefined
  /** Milliseconds in which somebody has to begin to read */
  timeout: number
}

/**
 * Hands out the bytes of an answer, and lets go of its slot and connection once they are read, nobody reads on, or
 * nobody has begun to read in time
 */
export function heldBody(
  held: HeldAnswer,
  bytes: AsyncIterable<Uint8Array>,
  { signal, timeout }: HeldBodyInit,
): AsyncIterable<Uint8Array> {
  const timer = setTimeout(end, timeout)
  signal?.addEventListener('abort', end, { once: true })

  function end(): void {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    void held[Symbol.asyncDispose]()
  }

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes
    } finally {
      end()
    }
  }

  return {
    [Symbol.asyncIterator]: () => {
      clearTimeout(timer)
      return read()
    },
  }
}
