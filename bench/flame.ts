/**
 * Draws a CPU profile as a flame graph: `node bench/flame.ts FILE.cpuprofile > bench/profiles/NAME.svg`. A box is a
 * function, as wide as the time spent in it and in what it called; the callee is below its caller. A browser shows the
 * name and the share of each box.
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

interface Profile {
  nodes: Array<{
    id: number
    callFrame: { functionName: string; url: string; lineNumber: number }
    children?: number[]
  }>
  samples: number[]
  timeDeltas: number[]
}

/** A function as called from one place, with everything that ran below it */
interface Frame {
  name: string
  microseconds: number
  callees: Map<string, Frame>
}

const width = 1400
const rowHeight = 16
const titleHeight = 24
const characterWidth = 6.2
/** Part of the whole below which a box is left out */
const least = 0.001

const [, , path] = process.argv
if (path === undefined) {
  console.error('usage: node bench/flame.ts FILE.cpuprofile > FILE.svg')
  process.exitCode = 1
} else {
  console.log(draw(merge(JSON.parse(await readFile(path, 'utf8')) as Profile), basename(path)))
}

/** Time of the idle event loop is left out: what counts is the time that was used */
function merge({ nodes, samples, timeDeltas }: Profile): Frame {
  const own = new Map<number, number>()
  samples.forEach((id, i) => {
    own.set(id, (own.get(id) ?? 0) + (timeDeltas[i] ?? 0))
  })
  const byId = new Map(nodes.map(node => [node.id, node]))
  const root: Frame = { name: 'all', microseconds: 0, callees: new Map() }
  const add = (id: number, into: Frame): number => {
    const { callFrame, children = [] } = byId.get(id)!
    if (callFrame.functionName === '(idle)') {
      return 0
    }
    const name = `${callFrame.functionName || '(anonymous)'} ${place(callFrame)}`.trimEnd()
    const frame = into.callees.get(name) ?? { name, microseconds: 0, callees: new Map() }
    into.callees.set(name, frame)
    const time = children.reduce((sum, child) => sum + add(child, frame), own.get(id) ?? 0)
    frame.microseconds += time
    return time
  }
  root.microseconds = (nodes[0]?.children ?? []).reduce((sum, child) => sum + add(child, root), 0)
  return root
}

function place({ url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  if (url.startsWith('node:')) {
    return `node:${url.split('/').at(-1)?.replace('node:', '')}`
  }
  return url === '' ? '' : `${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`
}

function draw(root: Frame, title: string): string {
  const boxes: string[] = []
  let depth = 0
  const place = (frame: Frame, x: number, row: number): void => {
    const share = frame.microseconds / root.microseconds
    if (!(share >= least)) {
      return
    }
    depth = Math.max(depth, row)
    boxes.push(box(frame, x, titleHeight + row * rowHeight, share))
    let left = x
    for (const callee of [...frame.callees.values()].sort((a, b) => b.microseconds - a.microseconds)) {
      place(callee, left, row + 1)
      left += (callee.microseconds / root.microseconds) * width
    }
  }
  place(root, 0, 0)
  const height = titleHeight + (depth + 1) * rowHeight
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="4" y="16">${escapeXml(title)}: ${(root.microseconds / 1e6).toFixed(1)} s of the main thread, idle time left out</text>`,
    ...boxes,
    '</svg>',
  ].join('\n')
}

function box({ name }: Frame, x: number, y: number, share: number): string {
  const length = share * width
  const label =
    length < 3 * characterWidth
      ? ''
      : `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escapeXml(name.slice(0, Math.floor(length / characterWidth)))}</text>`
  return `<g><title>${escapeXml(name)}: ${(share * 100).toFixed(1)} %</title><rect x="${x.toFixed(1)}" y="${y}" width="${length.toFixed(1)}" height="${rowHeight - 1}" fill="${colour(name)}"/>${label}</g>`
}

/** Ours stands out from the packages, and these from Node itself */
function colour(name: string): string {
  return /\.ts:\d+$/.test(name) ? '#f2a65a' : /\.[cm]?js:\d+$/.test(name) ? '#f4d58d' : '#d9d9d9'
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
