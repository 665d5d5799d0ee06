/** Runs a fixed number of calls at a time; further ones wait for a free slot, in the order in which they came */
export class Slots {
  #free: number
  readonly #waiting: Array<() => void> = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#free === 0) {
      await new Promise<void>(resolve => {
        this.#waiting.push(resolve)
      })
    } else {
      this.#free--
    }
    try {
      return await call()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) {
        this.#free++
      } else {
        next()
      }
    }
  }
}
