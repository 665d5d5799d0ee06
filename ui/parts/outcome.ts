import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { ApiError } from '../api.ts'
import { outcome, undo } from '../changes.ts'
import { Problem } from './dialog.ts'
import { problemOf } from './texts.ts'

/** What was done last, with a button that undoes it */
export function OutcomeNotice(): ComponentChild {
  const [problem, setProblem] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)
  const done = outcome.value
  if (done === undefined) {
    return h('div', { role: 'status' })
  }
  const onUndo = async (): Promise<void> => {
    setBusy(true)
    setProblem(undefined)
    try {
      const { state, to } = await undo(done.undo!)
      const again = state === undefined ? undefined : { ...done.undo!, to: state - 1, known: state }
      outcome.value = { text: `Undone: it is as it was in state ${to}.`, undo: again }
    } catch (err) {
      setProblem(problemOf(err as ApiError))
    } finally {
      setBusy(false)
    }
  }
  return h(
    'div',
    { class: 'notice outcome' },
    h('p', { role: 'status' }, done.text),
    h(
      'div',
      { class: 'actions' },
      done.undo !== undefined &&
        h('button', { type: 'button', disabled: isBusy, onClick: () => void onUndo() }, 'Undo'),
      h(
        'button',
        {
          type: 'button',
          onClick: () => {
            outcome.value = undefined
          },
        },
        'Close',
      ),
    ),
    problem !== undefined && h(Problem, { text: problem }),
  )
}
