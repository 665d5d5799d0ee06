/**
 * Runs tasks ahead of whoever takes their results, in order. A slow consumer holds up the tasks: no more than `ahead` results wait for it.
 */
export async function * runAhead<T> (tasks: AsyncIterable<() => Promise<T>>, ahead: number): AsyncGenerator<T> {
  const started: Array<Promise<T>> = []
  for await (const task of tasks) {
    const result = task()
    // a failure is thrown when its turn comes, or never where the consumer stops before
    result.catch(() => {})
    started.push(result)
    const first = started.length > ahead ? started.shift() : undefined
    if (first !== undefined) {
      yield await first
    }
  }
  for (const result of started) {
    yield await result
  }
}
