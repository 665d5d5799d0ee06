const second = 1000

/**
 * By how much the clock of a server is off at least, from the `Date` header of its answer, which has whole seconds
 *
 * @param sent when the request was sent, by our clock; milliseconds since the epoch
 * @param received when the answer began
 * @returns milliseconds by which it is ahead of ours, negative where it is behind; undefined without a date
 */
export function clockSkew(headers: Headers, sent: number, received: number): number | undefined {
  const date = Date.parse(headers.get('Date') ?? '')
  if (Number.isNaN(date)) {
    return undefined
  }
  return Math.max(date - received, 0) + Math.min(date + second - sent, 0)
}
