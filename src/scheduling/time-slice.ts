import { setImmediate } from 'node:timers/promises'

/**
 * How long a loop may keep the main thread before it lets the event loop serve others; milliseconds. Nobody notices a
 * delay this short.
 */
const sliceTime = 5

/**
 * Divides long work on the main thread into slices of a few milliseconds. A loop of many short steps that are all
 * answered from memory never returns to the event loop by itself, so nobody else would be served until its end.
 */
export class TimeSlice {
  #began = performance.now()

  /**
   * To be called between steps: lets the event loop run once if this slice has lasted long enough, and begins the next
   * slice
   */
  async pause(): Promise<void> {
    if (performance.now() - this.#began > sliceTime) {
      await this.end()
    }
  }

  /** Lets the event loop run once, however short this slice was: for use before and after one long step */
  async end(): Promise<void> {
    await setImmediate()
    this.#began = performance.now()
  }
}
