/**
 * Works on several items at a time. The first failure aborts the others, and is thrown once they have ended.
 *
 * @param limit items at a time
 */
export async function forEach<T> (
  items: readonly T[], limit: number, signal: AbortSignal | undefined, work: (item: T, signal: AbortSignal) => Promise<void>
): Promise<void> {
  const controller = new AbortController()
  const both = AbortSignal.any([controller.signal, ...(signal === undefined ? [] : [signal])])
  const queue = items.values()
  let failure: { err: unknown } | undefined
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, async () => {
    for (const item of queue) {
      if (both.aborted) {
        break
      }
      try {
        await work(item, both)
      } catch (err) {
        failure ??= { err }
        controller.abort(err)
      }
    }
  }))
  if (failure !== undefined) {
    throw failure.err
  }
  signal?.throwIfAborted()
}
