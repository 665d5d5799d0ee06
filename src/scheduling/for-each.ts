/**
 * Processes several items at a time. The first failure aborts the others, and is thrown once they have ended.
 *
 * @param limit the number of items at a time
 */
export async function forEach<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController()
  const both = AbortSignal.any([controller.signal, ...(signal === undefined ? [] : [signal])])
  // shared by all, so that each item is processed once
  const queue = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failure: { err: unknown } | undefined
  await Promise.all(
    Array.from({ length: limit }, async () => {
      while (!both.aborted) {
        try {
          const next = await queue.next()
          if (next.done === true) {
            break
          }
          await work(next.value, both)
        } catch (err) {
          failure ??= { err }
          controller.abort(err)
        }
      }
    }),
  )
  await queue.return?.()
  if (failure !== undefined) {
    throw failure.err
  }
  signal?.throwIfAborted()
}
