import type { RateLimit } from '../scheduling/rate-limit.ts'
import type { UpstreamErrors } from './upstream-errors.ts'

/** The least that an upstream has to send of a body */
export interface LeastRate {
  /** Within each period; 0 means that any speed will do */
  bytes: number
  /** Milliseconds in which this registry waits for the upstream; time in which it works on a chunk does not count */
  period: number
}

export interface UpstreamBodyComponents {
  errors: UpstreamErrors
  /** Of all bodies of the upstream together */
  egress: Pick<RateLimit, 'take'>
  /** Called with the bytes of each chunk */
  count: (bytes: number) => void
}

export interface UpstreamBodyInit {
  /** What comes, exactly; undefined: not known */
  length: number | undefined
  rate: LeastRate
  signal?: AbortSignal | undefined
}

/**
 * Passes on the bytes of an answer as long as they come as they should
 *
 * @throws UpstreamError where there are more or fewer than there have to be, or too few within a period
 */
export async function* checkedBody(
  source: AsyncIterable<Uint8Array>,
  { count, egress, errors }: UpstreamBodyComponents,
  { length, rate, signal }: UpstreamBodyInit,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  const pace = { waited: 0, bytes: 0 }
  let total = 0
  try {
    for (;;) {
      const asked = performance.now()
      const next = await iterator.next()
      if (next.done === true) {
        break
      }
      const { byteLength } = next.value
      count(byteLength)
      total += byteLength
      if (length !== undefined && total > length) {
        throw errors.invalid(`sends more than the ${length} bytes that there are`)
      }
      pace.waited += performance.now() - asked
      pace.bytes += byteLength
      requirePace(pace, rate, errors)
      await egress.take(byteLength, { signal })
      yield next.value
    }
    if (length !== undefined && total < length) {
      throw errors.of('unreachable', `ended its answer after ${total} of ${length} bytes`)
    }
  } catch (err) {
    signal?.throwIfAborted()
    throw errors.from(err)
  } finally {
    await iterator.return?.()
  }
}

function requirePace(pace: { waited: number; bytes: number }, rate: LeastRate, errors: UpstreamErrors): void {
  if (rate.bytes > 0 && pace.waited >= rate.period) {
    if (pace.bytes < rate.bytes) {
      throw errors.invalid(`sent less than ${rate.bytes} bytes within ${rate.period / 1000} s`)
    }
    pace.waited = 0
    pace.bytes = 0
  }
}
