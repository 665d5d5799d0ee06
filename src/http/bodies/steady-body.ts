import { OciError } from '../../oci/errors.ts'
import { ChunkWait } from './chunk-wait.ts'

/** The least that a client has to send of a body */
export interface BodyRate {
  /** Within each period; 0 means that any speed will do */
  bytes: number
  /** Milliseconds in which the server waits for the client; time in which it works on a chunk does not count */
  period: number
}

/** The timer looks this often in each period whether the server is waiting for the client */
const looksPerPeriod = 10

/**
 * Passes a body on unless the client sends it too slowly. Only time in which the server waits for the client counts: a
 * slow disk is not the fault of the client.
 *
 * @throws OciError REQUEST_TIMEOUT if less than `bytes` come within a period
 */
export function steadyBody(
  source: AsyncIterable<Uint8Array>,
  { bytes: least, period }: BodyRate,
): AsyncIterable<Uint8Array> {
  return least === 0 ? source : { [Symbol.asyncIterator]: () => watch(source[Symbol.asyncIterator](), least, period) }
}

function watch(source: AsyncIterator<Uint8Array>, least: number, period: number): AsyncIterator<Uint8Array> {
  const wait = new ChunkWait()
  let looks = 0
  let bytes = 0
  const timer = setInterval(() => {
    if (!wait.isOn || ++looks < looksPerPeriod) {
      return
    }
    if (bytes < least) {
      wait.fail(
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
        const result = await wait.next(source)
        bytes += result.done === true ? 0 : result.value.byteLength
        if (result.done === true) {
          end()
        }
        return result
      } catch (err) {
        end()
        throw err
      }
    },
    return: async () => {
      end()
      return (await source.return?.()) ?? { done: true, value: undefined }
    },
  }
}
