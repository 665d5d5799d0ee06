import { BlockSet, type BlockKey } from '../blocks/block-set.ts'

export interface RecentSetInit {
  /** How long a key stays at least after it was noted; milliseconds */
  period: number
  /** @default performance.now */
  now?: () => number
}

interface Generation {
  keys: BlockSet
  /** When it was opened; milliseconds, as `now` */
  began: number
  /** When the last of its keys was noted */
  noted: number
  /** How many {@link RecentSet.hold} keep it, and those after it */
  holds: number
}

/** Keys are dropped a generation at a time; with four of them, a key stays at most a quarter of the period too long */
const generationsPerPeriod = 4

/**
 * Keys that were noted recently: each stays for a period, and longer while a {@link hold} that began before it is in
 * force
 */
export class RecentSet {
  readonly #period: number
  readonly #now: () => number
  /** The oldest first */
  readonly #generations: Generation[] = []

  constructor({ period, now = () => performance.now() }: RecentSetInit) {
    this.#period = period
    this.#now = now
  }

  note(key: BlockKey): void {
    const generation = this.#current()
    generation.keys.add(key)
    generation.noted = this.#now()
  }

  /** @param period a shorter period than the usual one, which does not apply to what is held; milliseconds */
  has(key: BlockKey, period = this.#period): boolean {
    this.#dropOld()
    const now = this.#now()
    const first = this.#generations.findIndex(({ holds, noted }) => holds > 0 || now - noted < period)
    return first !== -1 && this.#generations.slice(first).some(({ keys }) => keys.has(key))
  }

  /** Whatever is noted from this call on stays at least until the result is disposed of */
  hold(): Disposable {
    // a new generation, so that it does not keep what was noted before
    const generation = this.#open()
    generation.holds++
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (held) {
          held = false
          generation.holds--
          this.#dropOld()
        }
      },
    }
  }

  #current(): Generation {
    const last = this.#generations.at(-1)
    const isCurrent =
      last !== undefined && (last.holds > 0 || this.#now() - last.began < this.#period / generationsPerPeriod)
    return isCurrent ? last : this.#open()
  }

  #open(): Generation {
    this.#dropOld()
    const now = this.#now()
    const generation = { keys: new BlockSet(), began: now, noted: now, holds: 0 }
    this.#generations.push(generation)
    return generation
  }

  /** Drops from the oldest on, and stops at the first that is held: the ones after it stay as well */
  #dropOld(): void {
    for (;;) {
      const [oldest] = this.#generations
      if (oldest === undefined || oldest.holds > 0 || this.#now() - oldest.noted < this.#period) {
        return
      }
      this.#generations.shift()
    }
  }
}
