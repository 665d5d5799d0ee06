import { h, type ComponentChild } from 'preact'
import { formatSize } from './texts.ts'

const [width, height] = [600, 90]

/** Sources in the order in which they are stacked, each with what it is called */
const sources = { disk: 'from disk', peer: 'from peers', gateway: 'from gateways', upstream: 'from upstreams' } as const

type Bytes = Partial<Record<string, number>>

/** Bars of bytes by source, one for each minute; the text below says the same */
export function BytesChart({ minutes, total }: { minutes: readonly Bytes[]; total: Bytes }): ComponentChild {
  const most = Math.max(1, ...minutes.map(sum))
  const bar = width / 60
  const recent = sum(Object.fromEntries(Object.keys(sources).map(source => [source, sumOf(minutes, source)])))
  return h(
    'div',
    { class: 'panel' },
    h(
      'svg',
      {
        class: 'chart',
        viewBox: `0 0 ${width} ${height}`,
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': `Bytes served in the last hour: ${formatSize(recent)}`,
      },
      h('path', { class: 'chart-base', d: `M0 ${height - 0.5}H${width}` }),
      minutes.map((minute, i) => h(Bar, { key: i, minute, x: width - bar * (minutes.length - i), bar, most })),
    ),
    h(
      'p',
      { class: 'quiet' },
      recent === 0 ? 'Nothing in the last hour.' : `The last hour; at most ${formatSize(most)} a minute.`,
    ),
    h(
      'ul',
      { class: 'plain legend' },
      Object.entries(sources).map(([source, name]) =>
        h(
          'li',
          { key: source },
          h('span', { class: `key ${source}`, 'aria-hidden': 'true' }),
          `${formatSize(sumOf(minutes, source))} ${name}`,
          sumOf(minutes, source) !== (total[source] ?? 0) &&
            h('span', { class: 'quiet' }, `, ${formatSize(total[source] ?? 0)} since the start`),
        ),
      ),
    ),
  )
}

function Bar({ bar, minute, most, x }: { minute: Bytes; x: number; bar: number; most: number }): ComponentChild {
  let y = height
  return Object.keys(sources).map(source => {
    const tall = ((minute[source] ?? 0) / most) * (height - 4)
    y -= tall
    return tall > 0 && h('rect', { key: source, class: source, x: x + 1, y, width: bar - 2, height: tall })
  })
}

function sum(bytes: Bytes): number {
  return Object.values(bytes).reduce<number>((total, value) => total + (value ?? 0), 0)
}

function sumOf(minutes: readonly Bytes[], source: string): number {
  return minutes.reduce((total, minute) => total + (minute[source] ?? 0), 0)
}
