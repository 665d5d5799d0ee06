import { ChunkWait } from './chunk-wait.ts'

/**
 * Passes a body on until a signal is aborted, also while it waits for the next chunk; with one listener for the whole
 * body, not one for each chunk
 *
 * @throws the reason of the signal
 */
export function abortableBody(source: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => watch(source[Symbol.asyncIterator](), signal) }
}

function watch(source: AsyncIterator<Uint8Array>, signal: AbortSignal): AsyncIterator<Uint8Array> {
  const wait = new ChunkWait()
  const abort = (): void => {
    wait.fail(signal.reason as Error)
  }
  signal.addEventListener('abort', abort)
  const end = (): void => {
    signal.removeEventListener('abort', abort)
  }
  return {
    next: async () => {
      try {
        signal.throwIfAborted()
        const result = await wait.next(source)
        // the last chunk came too late as well
        signal.throwIfAborted()
        if (result.done === true) {
          end()
        }
        return result
      } catch (err) {
        end()
        // not awaited: it waits for the chunk that is being waited for
        source.return?.().catch(() => {})
        throw err
      }
    },
    return: async () => {
      end()
      return (await source.return?.()) ?? { done: true, value: undefined }
    },
  }
}
