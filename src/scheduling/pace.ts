import { setTimeout as sleep } from 'node:timers/promises'

/** The shortest stretch of work that is followed by a rest, and the longest rest; milliseconds */
const [leastWork, longestRest] = [5, 100]

export interface PaceInit {
  /** Whether somebody waits for the work after all: then it does not rest */
  isHurried?: () => boolean
}

/**
 * Slows down background work: it rests as long as it works, so that whoever waits for something else hardly notices it
 */
export class Pace {
  readonly #isHurried: () => boolean
  #began = performance.now()

  constructor({ isHurried = () => false }: PaceInit = {}) {
    this.#isHurried = isHurried
  }

  /** To be called between two steps of the work */
  async rest({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const worked = performance.now() - this.#began
    if (worked >= leastWork && !this.#isHurried()) {
      await sleep(Math.min(worked, longestRest), undefined, signal === undefined ? {} : { signal })
      this.#began = performance.now()
    }
  }
}
