import { setTimeout as sleep } from 'node:timers/promises'

/** @param time of `performance.now()`: this never resolves earlier, although a timer may end a little early */
export async function sleepUntil(time: number): Promise<void> {
  for (let left = time - performance.now(); left > 0; left = time - performance.now()) {
    await sleep(left)
  }
}
