import type { Series } from '../measures.ts'

/** Of one case, as it is kept in a file */
export interface CaseResults {
  case: string
  /** ISO 8601 */
  began: string
  commandLine: string
  rounds: number
  machine: Machine
  /** Version and durability of each target */
  targets: Record<string, string>
  series: Array<{ measure: Series['measure']; values: Record<string, number[]> }>
}

export interface Machine {
  processor: string
  processors: number
  /** GiB */
  memory: number
  kernel: string
  /** Kind and mount of what was measured on */
  fileSystem: string
}

/** Ours first, what only shows limits last */
const order = ['ipdr', 'before', 'distribution', 'zot', 'kubo', 'node', 'limit', 'null']

export function caseResults(name: string, series: Series[], rest: Omit<CaseResults, 'case' | 'series'>): CaseResults {
  return {
    case: name,
    ...rest,
    series: series.map(({ measure, values }) => ({ measure, values: Object.fromEntries([...values].sort(byTarget)) })),
  }
}

function byTarget([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return place(a) - place(b) || a.localeCompare(b)
}

/** Of `kubo pin`, too: the first word is the target */
function place(name: string): number {
  return order.indexOf(name.split(' ')[0]!)
}
