import { OciError } from '../oci/errors.ts'

/** The least that a body has to bring */
export interface BodyRate {
  /** Within each period; 0: a body may be as slow as it likes */
  bytes: number
  /** Time spent waiting for the client, milliseconds */
  period: number
}

const looksPerPeriod = 10

/**
 * Passes a body on as long as it moves. Only the time counts in which somebody waits for the client: where the disk is slow, the client is not
 * to blame.
 *
 * @throws OciError REQUEST_TIMEOUT where the body trickles
 */
export function steadyBody(
  source: AsyncIterable<Uint8Array>,
  { bytes: least, period }: BodyRate,
): AsyncIterable<Uint8Array> {
  return least === 0 ? source : { [Symbol.asyncIterator]: () => watch(source[Symbol.asyncIterator](), least, period) }
}

function watch(source: AsyncIterator<Uint8Array>, least: number, period: number): AsyncIterator<Uint8Array> {
  let failWaiting: ((err: OciError) => void) | undefined
  let looks = 0
  let bytes = 0
  const timer = setInterval(() => {
    if (failWaiting === undefined || ++looks < looksPerPeriod) {
      return
    }
    if (bytes < least) {
      failWaiting(
        new OciError('REQUEST_TIMEOUT', {
          detail: { reason: `less than ${least} bytes within ${period / 1000} s` },
          headers: { Connection: 'close' },
        }),
      )
    }
    looks = 0
    bytes = 0
  }, period / looksPerPeriod)
  const end = (): void => {
    clearInterval(timer)
  }

  return {
    next: async () => {
      try {
        // not by Promise.race(): what it waits for would gather as many listeners as there are chunks
        const result = await new Promise<IteratorResult<Uint8Array, undefined>>((resolve, reject) => {
          failWaiting = reject
          source.next().then(resolve, reject)
        })
        bytes += result.done === true ? 0 : result.value.byteLength
        if (result.done === true) {
          end()
        }
        return result
      } catch (err) {
        end()
        throw err
      } finally {
        failWaiting = undefined
      }
    },
    return: async () => {
      end()
      return (await source.return?.()) ?? { done: true, value: undefined }
    },
  }
}
