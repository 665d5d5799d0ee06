import { TimeSlice } from './time-slice.ts'

/** What is sorted at once, in a millisecond or two */
const pieceLength = 512

/** Sorts as `toSorted` does, and lets the event loop serve others meanwhile */
export async function sortInSlices<T>(values: readonly T[], compare: (a: T, b: T) => number): Promise<T[]> {
  const slice = new TimeSlice()
  let runs: T[][] = []
  for (let at = 0; at < values.length; at += pieceLength) {
    runs.push(values.slice(at, at + pieceLength).sort(compare))
    await slice.pause()
  }
  while (runs.length > 1) {
    const merged: T[][] = []
    for (let i = 0; i < runs.length; i += 2) {
      merged.push(await merge(runs[i]!, runs[i + 1] ?? [], compare, slice))
    }
    runs = merged
  }
  return runs[0] ?? []
}

async function merge<T>(
  first: readonly T[],
  second: readonly T[],
  compare: (a: T, b: T) => number,
  slice: TimeSlice,
): Promise<T[]> {
  const merged: T[] = []
  let [one, other] = [0, 0]
  while (one < first.length && other < second.length) {
    // of two that are equal, the first stays the first
    merged.push(compare(second[other]!, first[one]!) < 0 ? second[other++]! : first[one++]!)
    if (merged.length % pieceLength === 0) {
      await slice.pause()
    }
  }
  return merged.concat(first.slice(one), second.slice(other))
}
