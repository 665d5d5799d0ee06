export interface Bound {
  /** Milliseconds */
  limit: number
  signal: AbortSignal
}

/** Work took longer than it may */
export class TimeLimitError extends Error {
  static readonly name = 'TimeLimitError'
  readonly name = 'TimeLimitError'

  constructor(limit: number) {
    super(`it took longer than ${limit / 1000} s`)
  }
}

/**
 * Waits for work no longer than a time, and not at all once the signal is aborted. What can't be aborted, such as a
 * call of the system, goes on where nobody waits for it.
 *
 * @param work gets a signal that is aborted once nobody waits for it any more
 * @throws TimeLimitError, the reason of the signal, what the work throws
 */
export async function bounded<T>(work: (signal: AbortSignal) => Promise<T>, { limit, signal }: Bound): Promise<T> {
  const stop = new AbortController()
  const { promise: end, reject } = Promise.withResolvers<never>()
  const abort = (): void => {
    reject(signal.reason as Error)
  }
  const timer = setTimeout(() => {
    reject(new TimeLimitError(limit))
  }, limit)
  signal.addEventListener('abort', abort, { once: true })
  try {
    if (signal.aborted) {
      abort()
    }
    return await Promise.race([end, work(AbortSignal.any([signal, stop.signal]))])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    stop.abort()
  }
}
