/** Counts the users of each key */
export class Uses {
  readonly #counts = new Map<string, number>()

  /** The key is in use at least until this is disposed of */
  begin(key: string): Disposable {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
    return {
      [Symbol.dispose]: () => {
        const others = this.#counts.get(key)! - 1
        if (others > 0) {
          this.#counts.set(key, others)
        } else {
          this.#counts.delete(key)
        }
      },
    }
  }

  has(key: string): boolean {
    return this.#counts.has(key)
  }

  keys(): string[] {
    return [...this.#counts.keys()]
  }
}
