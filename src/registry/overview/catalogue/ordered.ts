import { sortInSlices } from '../../../scheduling/sort-in-slices.ts'

/**
 * Values by their keys, in an order. Only what changes finds its place anew, in a list that is in order otherwise:
 * sorting 100,000 values with each change would keep the main thread for a tenth of a second.
 */
export class Ordered<V extends object> {
  readonly #compare: (a: V, b: V) => number
  readonly #values = new Map<string, V>()
  #sorted: readonly V[] = []
  /** Values that are in the list and should not be, or not there */
  readonly #displaced = new Set<V>()
  /** Values that are not in the list */
  readonly #added = new Set<V>()

  constructor(compare: (a: V, b: V) => number) {
    this.#compare = compare
  }

  get all(): readonly V[] {
    if (this.#displaced.size > 0 || this.#added.size > 0) {
      const kept = this.#sorted.filter(value => !this.#displaced.has(value))
      // this sort is quick with what is in order for the most part
      this.#sorted = [...this.#added, ...kept].sort(this.#compare)
      this.#displaced.clear()
      this.#added.clear()
    }
    return this.#sorted
  }

  /** Finds the places of all that was added, and lets others have their turn; nothing may change meanwhile */
  async sort(): Promise<void> {
    this.#sorted = await sortInSlices([...this.#values.values()], this.#compare)
    this.#displaced.clear()
    this.#added.clear()
  }

  get(key: string): V | undefined {
    return this.#values.get(key)
  }

  /** To be called again with the same value when its place may have changed */
  set(key: string, value: V): void {
    this.delete(key)
    this.#values.set(key, value)
    this.#added.add(value)
  }

  delete(key: string): void {
    const value = this.#values.get(key)
    if (value !== undefined) {
      this.#values.delete(key)
      // where it was added lately, the list does not have it
      this.#added.delete(value)
      this.#displaced.add(value)
    }
  }
}
