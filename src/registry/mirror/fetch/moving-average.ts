/** What each new value counts */
const weight = 0.2

/** An average in which the last values count most */
export class MovingAverage {
  #value: number | undefined
  #count = 0

  /** undefined: nothing was added yet */
  get value(): number | undefined {
    return this.#value
  }

  /** How many values were added */
  get count(): number {
    return this.#count
  }

  add(value: number): void {
    this.#value = this.#value === undefined ? value : this.#value + weight * (value - this.#value)
    this.#count++
  }

  reset(): void {
    this.#value = undefined
    this.#count = 0
  }
}
