/** Work in steps of milliseconds, between which others may get their turn */
export type Steps<T> = Generator<undefined, T, undefined>

/** Does all of it at once */
export function drained<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) {
      return step.value
    }
  }
}
