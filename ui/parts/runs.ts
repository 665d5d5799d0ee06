import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { Run } from '../answers.ts'
import { doWork } from '../work.ts'
import { announcement } from './copy.ts'
import { plain } from './texts.ts'
import { Time } from './time.ts'

type Progress = Partial<Record<'blocks' | 'bytes' | 'roots' | 'bad', number>> & { phase?: string }

interface Action {
  title: string
  request: Record<string, unknown>
  /** Whether the registry would refuse it now, as it is read-only */
  isRefused?: boolean
}

/** Buttons that have the server do something, what it does now, and how it ended */
export function WorkButtons({
  actions,
  current,
  name,
  progress,
  told,
}: {
  name: 'gc' | 'fsck'
  actions: readonly Action[]
  current: { started: string; progress?: object | undefined } | undefined
  progress: (progress: Progress) => string
  told: (result: Record<string, unknown>) => string
}): ComponentChild {
  const [state, setState] = useState<{ isBusy: boolean; text: string }>({ isBusy: false, text: '' })
  const run = async ({ request }: Action): Promise<void> => {
    setState({ isBusy: true, text: 'It begins…' })
    let text: string
    try {
      const onProgress = (now: Progress): void => {
        setState({ isBusy: true, text: progress(now) })
      }
      text = told(await doWork<Progress, Record<string, unknown>>(name, request, onProgress))
    } catch (err) {
      text = `It failed: ${plain((err as Error).message)}`
    }
    setState({ isBusy: false, text })
    announcement.value = text
  }
  const elsewhere = current === undefined || state.isBusy ? undefined : progress((current.progress ?? {}) as Progress)
  return h(
    'div',
    { class: 'work' },
    h(
      'p',
      { class: 'actions' },
      actions.map(action =>
        h(
          'button',
          {
            key: action.title,
            type: 'button',
            disabled: state.isBusy || action.isRefused === true,
            onClick: () => void run(action),
          },
          action.title,
        ),
      ),
    ),
    h('p', { class: 'outcome' }, elsewhere === undefined ? state.text : `It runs now: ${elsewhere}.`),
  )
}

/** The last runs, the newest first */
export function Runs<Result>({
  runs,
  text,
}: {
  runs: readonly Run<Result>[]
  text: (run: Run<Result>) => string | undefined
}): ComponentChild {
  if (runs.length === 0) {
    return h('p', { class: 'quiet' }, 'It has not run yet.')
  }
  return h(
    'ul',
    { class: 'rows' },
    runs.map(run =>
      h(
        'li',
        { key: run.started, class: 'row' },
        h('div', {}, run.error === undefined ? text(run) : h('span', { class: 'bad' }, `Failed: ${plain(run.error)}`)),
        h('div', { class: 'row-count quiet' }, h(Time, { at: run.started }), ` in ${formatSeconds(run.seconds)}`),
      ),
    ),
  )
}

/** When something runs by itself, as a sentence */
export function schedule(interval: number): string {
  return interval === 0
    ? 'It runs only when somebody asks for it.'
    : `It runs by itself every ${formatSeconds(interval)}.`
}

function formatSeconds(seconds: number): string {
  const [unit, length] = (
    [
      ['day', 86_400],
      ['hour', 3600],
      ['minute', 60],
    ] as const
  ).find(([, length]) => seconds >= length) ?? ['second', 1]
  const value = Math.round((10 * seconds) / length) / 10
  return `${value.toLocaleString('en')} ${unit}${value === 1 ? '' : 's'}`
}
