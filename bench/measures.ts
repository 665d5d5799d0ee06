/** What is measured the same way on every target */
export interface Measure {
  /** Name of the case */
  case: string
  /** E.g. `push 256 MiB, 4 clients` */
  name: string
  unit: string
  better: 'higher' | 'lower'
}

/** One value of each counted round */
export type Values = Map<string, number[]>

export interface Series {
  measure: Measure
  /** By target */
  values: Values
}

/** A measure and its value */
export type Sample = readonly [Measure, number]

/** All values of a run, in the order in which the measures came */
export class Measures {
  readonly #series = new Map<string, Series>()

  add(target: string, [measure, value]: Sample): void {
    const key = `${measure.case}/${measure.name}`
    const series = this.#series.get(key) ?? { measure, values: new Map<string, number[]>() }
    this.#series.set(key, series)
    series.values.set(target, [...(series.values.get(target) ?? []), value])
  }

  of(name: string): Series[] {
    return [...this.#series.values()].filter(({ measure }) => measure.case === name)
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export interface Ratio {
  median: number
  min: number
  max: number
}

/**
 * How many times as good the first is as the second: above 1 it is better, whether more is better or less. Of the
 * medians; the range is that of the rounds, each beside its own neighbour.
 */
export function ratio({ better }: Measure, ours: readonly number[], theirs: readonly number[]): Ratio {
  const times = (a: number, b: number): number => (better === 'higher' ? a / b : b / a)
  const each = ours.slice(0, theirs.length).map((value, round) => times(value, theirs[round]!))
  return { median: times(median(ours), median(theirs)), min: Math.min(...each), max: Math.max(...each) }
}
