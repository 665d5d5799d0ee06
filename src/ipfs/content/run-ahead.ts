/**
 * Runs tasks ahead of whoever takes their results, in order. A slow consumer holds up the tasks: no more than `ahead` results wait for it.
 * At the start fewer do, so that the first result does not share the way with many that nobody waits for yet.
 */
export async function* runAhead<T>(tasks: AsyncIterable<() => Promise<T>>, ahead: number): AsyncGenerator<T> {
  const started: Array<Promise<T>> = []
  let waiting = 1
  for await (const task of tasks) {
    const result = task()
    // a failure is thrown when its turn comes, or never where the consumer stops before
    result.catch(() => {})
    started.push(result)
    const first = started.length > waiting ? started.shift() : undefined
    if (first !== undefined) {
      yield await first
      waiting = Math.min(ahead, 2 * waiting)
    }
  }
  for (const result of started) {
    yield await result
  }
}
