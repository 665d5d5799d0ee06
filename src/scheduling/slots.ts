import { raceSignal } from 'race-signal'

/** Runs a fixed number of calls at a time; further ones wait for a free slot, in the order in which they came */
export class Slots {
  #free: number
  readonly #waiting: Array<() => void> = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      // a call that need not wait begins at once
      this.#free--
    } else {
      await this.#wait(undefined)
    }
    try {
      return await call()
    } finally {
      this.#release()
    }
  }

  /** Takes a slot, which is free again once it is disposed of; twice is fine */
  async take({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<Disposable> {
    if (this.#free > 0) {
      this.#free--
    } else {
      await this.#wait(signal)
    }
    let taken = true
    return {
      [Symbol.dispose]: () => {
        if (taken) {
          taken = false
          this.#release()
        }
      },
    }
  }

  async #wait(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    try {
      await raceSignal(promise, signal)
    } catch (err) {
      const index = this.#waiting.indexOf(resolve)
      if (index < 0) {
        // it was given the slot in the same moment
        this.#release()
      } else {
        this.#waiting.splice(index, 1)
      }
      throw err
    }
  }

  #release(): void {
    const next = this.#waiting.shift()
    if (next === undefined) {
      this.#free++
    } else {
      next()
    }
  }
}
