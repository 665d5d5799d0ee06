import { goals, type Goal } from '../goals.ts'
import { median, ratio, type Measure } from '../measures.ts'
import type { CaseResults } from './results.ts'

type SeriesOfCase = CaseResults['series'][number]

/** Everything that was measured, as Markdown */
export function markdown(results: CaseResults[]): string {
  return [
    '# Results',
    '',
    'Made by `npm run bench -- --save`; see [../README.md](../README.md) for what each case does. Each value is the median of the rounds, with',
    'their least and largest. A ratio says how many times as good ours is as the other, whether more is better or less: above 1 it is better.',
    '',
    ...goalTable(results),
    ...results.flatMap(section),
  ].join('\n')
}

/** One line per measure, for the terminal */
export function plain(result: CaseResults): string {
  return result.series
    .map(series =>
      [
        `${series.measure.name}, ${series.measure.unit} (${series.measure.better} is better)`,
        ...Object.entries(series.values).map(
          ([target, values]) => `  ${target.padEnd(14)}${spread(values).padEnd(30)}${ratioText(series, target)}`,
        ),
      ].join('\n'),
    )
    .join('\n')
}

function section(result: CaseResults): string[] {
  const targets = [...new Set(result.series.flatMap(({ values }) => Object.keys(values)))]
  const others = targets.filter(target => target !== 'ipdr')
  const { machine } = result
  return [
    `## ${result.case}`,
    '',
    // nothing is drawn where nothing is compared
    ...(others.length === 0 ? [] : [`![ratios](${result.case}.svg)`, '']),
    row(['measure', 'unit', ...targets, ...others.map(target => `ours beside ${target}`)]),
    row(Array.from({ length: 2 + targets.length + others.length }, () => '---')),
    ...result.series.map(series =>
      row([
        series.measure.name,
        series.measure.unit,
        ...targets.map(target => spread(series.values[target])),
        ...others.map(target => ratioText(series, target)),
      ]),
    ),
    '',
    `\`${result.commandLine}\`, rounds: ${result.rounds}, ${result.began.slice(0, 10)}; ${machine.processor}, ${machine.processors} processors, ${machine.memory} GiB, ` +
      `Linux ${machine.kernel}, ${machine.fileSystem}.`,
    '',
    ...Object.entries(result.targets)
      .filter(([target]) => targets.some(name => name.split(' ').includes(target)))
      .map(([target, about]) => `- ${target}: ${about}`),
    '',
  ]
}

function goalTable(results: CaseResults[]): string[] {
  const rows = goals.flatMap(goal => {
    const series = results.flatMap(result => result.series).find(({ measure }) => measure.name === goal.measure)
    const judged = series === undefined ? undefined : judge(goal, series)
    return judged === undefined ? [] : [row([goal.measure, judged.wanted, judged.found, judged.met ? 'yes' : '**no**'])]
  })
  return rows.length === 0
    ? []
    : [
        '## What it must show',
        '',
        row(['measure', 'wanted', 'found', 'met']),
        row(['---', '---', '---', '---']),
        ...rows,
        '',
      ]
}

function judge(goal: Goal, series: SeriesOfCase): { wanted: string; found: string; met: boolean } | undefined {
  const ours = series.values['ipdr']
  if (ours === undefined) {
    return undefined
  }
  if (goal.atMost !== undefined) {
    const value = median(ours)
    return {
      wanted: `at most ${goal.atMost} ${series.measure.unit}`,
      found: `${rounded(value)} ${series.measure.unit}`,
      met: value <= goal.atMost,
    }
  }
  if (goal.atLeast !== undefined) {
    const value = median(ours)
    return {
      wanted: `at least ${goal.atLeast} ${series.measure.unit}`,
      found: `${rounded(value)} ${series.measure.unit}`,
      met: value >= goal.atLeast,
    }
  }
  const { target, times } = goal.versus!
  const theirs = series.values[target]
  if (theirs === undefined) {
    return undefined
  }
  const found = ratio(series.measure, ours, theirs).median
  const aim = goal.aim === undefined ? '' : ` (aim ${goal.aim})`
  return { wanted: `${times} times ${target}${aim}`, found: `${found.toFixed(2)} times`, met: found >= times }
}

function ratioText(
  { measure, values }: { measure: Measure; values: Record<string, number[]> },
  target: string,
): string {
  const [ours, theirs] = [values['ipdr'], values[target]]
  if (ours === undefined || theirs === undefined || target === 'ipdr') {
    return ''
  }
  const { median, min, max } = ratio(measure, ours, theirs)
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`
}

function spread(values: number[] | undefined): string {
  return values === undefined
    ? ''
    : `${rounded(median(values))} (${rounded(Math.min(...values))}–${rounded(Math.max(...values))})`
}

/** Three digits that count, and all of those before the point */
function rounded(value: number): string {
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 4))
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`
}
