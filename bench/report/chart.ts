import { ratio } from '../measures.ts'
import type { CaseResults } from './results.ts'

const lineHeight = 18
const labelWidth = 460
const legendWidth = 170
const barWidth = 420
const margin = 16
const head = 52
/** A bar that would be longer ends here and says so by its number */
const largest = 4
const colours = ['#3b78c2', '#d08a2e', '#5a9e57', '#9b6bb3', '#8a8a8a', '#b9b9b9']

interface Bar {
  label: string
  target: string
  median: number
  min: number
  max: number
}

/**
 * How many times as good ours is as the others: one bar for each, a whisker for its rounds, a line at 1. Undefined
 * where nothing is compared.
 */
export function chart({ case: name, series }: CaseResults): string | undefined {
  const bars = series
    .flatMap(({ measure, values }) => {
      const ours = values['ipdr']
      return ours === undefined
        ? []
        : Object.entries(values)
            .filter(([target]) => target !== 'ipdr')
            .map(([target, theirs]): Bar => {
              return { label: measure.name, target, ...ratio(measure, ours, theirs) }
            })
    })
    .filter(bar => Number.isFinite(bar.median))
  if (bars.length === 0) {
    return undefined
  }
  const targets = [...new Set(bars.map(bar => bar.target))]
  const scale = Math.min(largest, Math.max(1.25, ...bars.map(bar => bar.max)))
  const x = (times: number): number => labelWidth + (Math.min(times, scale) / scale) * barWidth
  const width = labelWidth + barWidth + 80
  const height = head + bars.length * lineHeight + margin
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(margin, 18, `${name}: how many times as good ipdr is (above 1: better)`, 'font-weight="bold"'),
    ...targets.map(
      (target, i) =>
        `<rect x="${margin + i * legendWidth}" y="28" width="10" height="10" fill="${colour(i)}"/>${text(margin + 14 + i * legendWidth, 37, `beside ${target}`)}`,
    ),
    ...bars.map((bar, i) =>
      drawBar(
        bar,
        head + i * lineHeight,
        bars[i - 1]?.label === bar.label ? '' : bar.label,
        colour(targets.indexOf(bar.target)),
        x,
      ),
    ),
    `<line x1="${x(1)}" x2="${x(1)}" y1="${head - 6}" y2="${height - margin}" stroke="#202020" stroke-dasharray="3 3"/>`,
    '</svg>',
    '',
  ].join('\n')
}

function drawBar(
  { median, min, max }: Bar,
  y: number,
  label: string,
  fill: string,
  x: (times: number) => number,
): string {
  const middle = y + lineHeight / 2 - 2
  return [
    text(labelWidth - 8, middle + 4, label, 'text-anchor="end"'),
    `<rect x="${x(0)}" y="${y}" width="${x(median) - x(0)}" height="${lineHeight - 5}" fill="${fill}"/>`,
    `<line x1="${x(min)}" x2="${x(max)}" y1="${middle}" y2="${middle}" stroke="#202020"/>`,
    text(Math.max(x(median), x(max)) + 6, middle + 4, median.toFixed(2)),
  ].join('')
}

function text(x: number, y: number, content: string, more = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${x}" y="${y}" fill="#202020" ${more}>${escaped}</text>`
}

function colour(index: number): string {
  return colours[index % colours.length]!
}
