import { BlockSet, type BlockKey } from '../blocks/block-set.ts'

export interface RecentSetInit {
  /** How long a key stays at least after it was noted; milliseconds */
  period: number
  /** @default performance.now */
  now?: () => number
}

interface Generation {
  keys: BlockSet
  began: number
  /** When a key was noted last */
  noted: number
  /** Nothing that was noted since is dropped before all of them have gone */
  holds: number
}

/** Keys are dropped by the generation, so there are a few at a time */
const generationsPerPeriod = 4

/**
 * What was noted lately: each key stays for a period, and beyond it as long as somebody holds what is noted from some moment on.
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

  /** @param period milliseconds, where it is to be shorter than usual; what is held is there whatever it is */
  has(key: BlockKey, period = this.#period): boolean {
    this.#dropOld()
    const now = this.#now()
    const first = this.#generations.findIndex(({ holds, noted }) => holds > 0 || now - noted < period)
    return first !== -1 && this.#generations.slice(first).some(({ keys }) => keys.has(key))
  }

  /** Whatever is noted from now on stays at least until this is disposed of */
  hold(): Disposable {
    // one of its own, so that what was noted before stays no longer for it
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

  /** In their order alone: what is held keeps what came after it, too */
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
