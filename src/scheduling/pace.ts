import { setTimeout as sleep } from 'node:timers/promises'

/** Work for less than this is not worth a rest, and no rest is longer than this; milliseconds */
const [leastWork, longestRest] = [5, 100]

export interface PaceInit {
  /** Whether somebody does wait for it: then it does not rest */
  isHurried?: () => boolean
}

/** For work that nobody waits for: it rests as long as it works, so that those who do wait hardly notice it */
export class Pace {
  readonly #isHurried: () => boolean
  #began = performance.now()

  constructor({ isHurried = () => false }: PaceInit = {}) {
    this.#isHurried = isHurried
  }

  /** To be called between two pieces of work */
  async rest({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const worked = performance.now() - this.#began
    if (worked >= leastWork && !this.#isHurried()) {
      await sleep(Math.min(worked, longestRest), undefined, signal === undefined ? {} : { signal })
      this.#began = performance.now()
    }
  }
}
