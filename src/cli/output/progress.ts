import type { Writable } from 'node:stream'
import { printable, line } from './printable.ts'
import { formatShare, formatSize } from './table.ts'
import type { CliContext } from '../process/context.ts'

const second = 1000
/** Between two drawings on a terminal, and between two lines elsewhere; milliseconds */
const [redrawn, printedAgain] = [200, 10 * second]
/** The rate is that of the last so many milliseconds */
const rateWindow = 10 * second
/** Moves the cursor to the beginning of the line and clears it */
const clearLine = '\r\x1b[K'

/** How far a long command is */
export interface ProgressState {
  /** What happens now, such as `storing blocks` */
  text: string
  /** Whoever sees no terminal is told of another step at once; @default there is one alone */
  step?: string | undefined
  /** Bytes that are done; undefined: they are not counted */
  bytes?: number | undefined
  /** Whether the text has the bytes already */
  hasSize?: boolean | undefined
  /** Of how many; undefined: nobody knows */
  total?: number | undefined
  /** What is counted instead of bytes, such as `{ done: 10, total: 40, name: 'blocks' }`; `total` may be an estimate */
  items?: { done: number; total?: number | undefined; name: string } | undefined
  /** Where they come from, if that is not plain */
  source?: string | undefined
  /** Seconds that it will still take; @default by what is left and the rate */
  left?: number | undefined
}

export interface ShownProgress extends Disposable {
  show: (state: ProgressState) => void
}

/**
 * Shows on standard error how far a long command is: on a terminal in a line that is written anew, and gone at the end;
 * elsewhere by a line now and then
 *
 * @param init.quietFor milliseconds before the first line where there is no terminal
 */
export function showProgress(
  { stderr, terminal = isTerminal(stderr) ? stderr : undefined }: Pick<CliContext, 'stderr' | 'terminal'>,
  { quietFor = 0, silent }: { silent: boolean; quietFor?: number },
): ShownProgress {
  if (silent) {
    return { show: () => {}, [Symbol.dispose]: () => {} }
  }
  let rate = new Rate()
  const interval = terminal === undefined ? printedAgain : redrawn
  let next = performance.now() + (terminal === undefined ? quietFor : 0)
  let step: string | undefined
  return {
    show: state => {
      if (state.step !== step) {
        rate = new Rate()
      }
      const done = state.items?.done ?? state.bytes
      const perSecond = done === undefined ? 0 : rate.add(done)
      if (performance.now() < next && state.step === step) {
        return
      }
      step = state.step
      next = performance.now() + interval
      const text = progressText(state, perSecond)
      if (terminal === undefined) {
        stderr.write(line`${text}`)
      } else {
        terminal.write(clearLine + printable(text).slice(0, widthOf(terminal) - 1))
      }
    },
    [Symbol.dispose]: () => {
      terminal?.write(clearLine)
    },
  }
}

/** @param rate items per second where there are items, otherwise bytes */
export function progressText(state: ProgressState, rate: number): string {
  const { items, left, source, text } = state
  const { done, total } = items ?? { done: state.bytes, total: state.total }
  const rest = left ?? (done === undefined || total === undefined || rate <= 0 ? undefined : (total - done) / rate)
  return [
    text,
    ...(items === undefined ? sizeOf(state) : shareOf(items)),
    ...(done === undefined || rate <= 0
      ? []
      : [`${items === undefined ? formatSize(rate) : formatRate(rate, items.name)}/s`]),
    ...(source === undefined ? [] : [`from ${source}`]),
    ...(rest === undefined || !Number.isFinite(rest) ? [] : [`${formatTime(Math.max(0, rest))} left`]),
  ].join(', ')
}

function sizeOf({ bytes, hasSize = false, total }: Pick<ProgressState, 'bytes' | 'hasSize' | 'total'>): string[] {
  if (bytes === undefined || (total === undefined && hasSize)) {
    return []
  }
  return [total === undefined ? formatSize(bytes) : formatShare(bytes, total)]
}

function shareOf({ done, name, total }: NonNullable<ProgressState['items']>): string[] {
  return total === undefined ? [] : [formatShare(Math.min(done, total), total, count => `${count} ${name}`)]
}

function formatRate(rate: number, name: string): string {
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} ${name}`
}

/** Seconds as people read them, such as `3 min 20 s` */
function formatTime(seconds: number): string {
  const whole = Math.ceil(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)]
  if (hours > 0) {
    return `${hours} h ${minutes} min`
  }
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`
}

/** Bytes per second of late */
class Rate {
  #samples: { at: number; bytes: number }[] = []

  add(bytes: number): number {
    const at = performance.now()
    const last = this.#samples.at(-1)
    // another step counts from its beginning
    if (last !== undefined && bytes < last.bytes) {
      this.#samples = []
    }
    if (last === undefined || at - last.at >= redrawn || this.#samples.length === 0) {
      this.#samples.push({ at, bytes })
    }
    this.#samples = this.#samples.filter(sample => at - sample.at <= rateWindow || sample === this.#samples.at(-1))
    const first = this.#samples[0]!
    return at > first.at ? ((bytes - first.bytes) / (at - first.at)) * second : 0
  }
}

function isTerminal(stream: Writable): boolean {
  return 'isTTY' in stream && stream.isTTY === true
}

function widthOf(terminal: Writable): number {
  const { columns } = terminal as { columns?: number }
  return columns === undefined || columns < 20 ? 80 : columns
}
