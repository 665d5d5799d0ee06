import { LRUCache } from 'lru-cache'

/** Takers that are remembered; of more, those that took nothing for the longest time begin anew */
const maxTakers = 50_000

export interface AllowanceInit {
  /** What each may take within a period, all at once or little by little */
  amount: number
  /** Milliseconds */
  period: number
  /** The clock, in milliseconds. @default that of `performance` */
  now?: (() => number) | undefined
}

/**
 * Tells each of many takers how long to wait because he has taken too much. He may take any amount while he has
 * something left, and owes what was too much: so what can't be stopped half-way is paid for afterwards. Nobody waits
 * for what another one takes.
 */
export class Allowance {
  readonly #period: number
  /** Milliseconds that one unit takes to be paid for */
  readonly #price: number
  readonly #now: () => number
  /** When all is paid for that was taken */
  readonly #paid = new LRUCache<string, number>({ max: maxTakers })

  constructor({ amount, period, now = () => performance.now() }: AllowanceInit) {
    this.#period = period
    this.#price = period / amount
    this.#now = now
  }

  /** Milliseconds until a taker has something left; 0: he has it now */
  wait(taker: string): number {
    const paid = this.#paid.get(taker)
    return paid === undefined ? 0 : Math.max(0, paid + this.#price - this.#now())
  }

  take(taker: string, amount: number): void {
    const now = this.#now()
    this.#paid.set(taker, Math.max(this.#paid.get(taker) ?? -Infinity, now - this.#period) + amount * this.#price)
  }
}
