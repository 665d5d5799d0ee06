import { setImmediate } from 'node:timers/promises'

/** Of work on the main thread before others get their turn: as much as they don't notice */
const turnTime = 5

/** For loops whose steps are short and many, and may all be answered from memory: without a pause nobody else is served until the last */
export class Turns {
  #began = performance.now()

  /** Ends the turn where it has taken long enough */
  async pause(): Promise<void> {
    if (performance.now() - this.#began > turnTime) {
      await this.end()
    }
  }

  async end(): Promise<void> {
    await setImmediate()
    this.#began = performance.now()
  }
}
