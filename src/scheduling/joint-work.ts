import { raceSignal } from 'race-signal'

interface Work<T> {
  result: Promise<T>
  waiting: number
  controller: AbortController
}

/** Work that several wait for at a time is done once; it is aborted when nobody waits for it any more */
export class JointWork<T> {
  readonly #running = new Map<string, Work<T>>()

  /**
   * Joins the work that runs under this key, or begins it
   *
   * @param signal of this caller, who stops waiting when it fires
   */
  async run(key: string, signal: AbortSignal | undefined, begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    const work = this.#running.get(key) ?? this.#begin(key, begin)
    work.waiting++
    try {
      return await raceSignal(work.result, signal)
    } finally {
      work.waiting--
      if (work.waiting === 0) {
        // whoever comes from now on begins anew
        this.#forget(key, work)
        work.controller.abort()
      }
    }
  }

  #begin(key: string, begin: (signal: AbortSignal) => Promise<T>): Work<T> {
    const controller = new AbortController()
    const work: Work<T> = { result: begin(controller.signal), waiting: 0, controller }
    this.#running.set(key, work)
    work.result
      .catch(() => {})
      .finally(() => {
        this.#forget(key, work)
      })
    return work
  }

  #forget(key: string, work: Work<T>): void {
    if (this.#running.get(key) === work) {
      this.#running.delete(key)
    }
  }
}
