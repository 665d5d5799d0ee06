import { h, type ComponentChild } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { DeletionResult, TagToGo } from '../answers.ts'
import type { ApiError } from '../api.ts'
import { changes, deleteTags, outcome } from '../changes.ts'
import { Dialog, Problem } from '../parts/dialog.ts'
import { count, formatDuration, formatSize, plain, problemOf } from '../parts/texts.ts'

/** Tags that a dialog names; of more it says how many there are */
const maxNamed = 20

/** Says what would go with some tags, and what that frees, before it deletes them */
export function DeleteDialog({
  onClose,
  onDeleted,
  repository,
  tags,
}: {
  repository: string
  tags: readonly string[]
  onClose: () => void
  onDeleted: () => void
}): ComponentChild {
  const [images, setImages] = useState(true)
  const [plan, setPlan] = useState<DeletionResult | undefined>()
  const [problem, setProblem] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)
  useEffect(() => {
    let isWanted = true
    setPlan(undefined)
    deleteTags({ repository, tags, images, dryRun: true }).then(
      found => {
        if (isWanted) {
          setPlan(found)
        }
      },
      (err: ApiError) => {
        setProblem(problemOf(err))
      },
    )
    return () => {
      isWanted = false
    }
  }, [images])
  const going = plan?.tags.filter(({ refused }) => refused === undefined).map(({ tag }) => tag) ?? []
  const onDelete = async (): Promise<void> => {
    setBusy(true)
    setProblem(undefined)
    try {
      const done = await deleteTags({ repository, tags: going, images, dryRun: false })
      outcome.value = outcomeOf(repository, done)
      changes.value++
      onDeleted()
    } catch (err) {
      setProblem(problemOf(err as ApiError))
      setBusy(false)
    }
  }
  return h(
    Dialog,
    { title: tags.length === 1 ? `Delete ${tags[0]}?` : `Delete ${count(tags.length, 'tag')}?`, onClose },
    plan === undefined && problem === undefined && h('p', { class: 'quiet' }, 'Looking what that frees…'),
    plan !== undefined && h(Plan, { plan, images }),
    h(
      'label',
      { class: 'choice' },
      h('input', {
        type: 'checkbox',
        checked: images,
        onChange: () => {
          setImages(!images)
        },
      }),
      'Delete their images too, where no other tag leads to them',
    ),
    problem !== undefined && h(Problem, { text: problem }),
    h(
      'div',
      { class: 'actions' },
      h(
        'button',
        { type: 'button', class: 'danger', disabled: isBusy || going.length === 0, onClick: () => void onDelete() },
        going.length < tags.length && going.length > 0 ? `Delete ${going.length} of ${tags.length}` : 'Delete',
      ),
      h('button', { type: 'button', onClick: onClose }, 'Cancel'),
    ),
  )
}

function Plan({ images, plan }: { plan: DeletionResult; images: boolean }): ComponentChild {
  const { attached, bytes, keptFor, manifests, tags, untagged } = plan
  const when =
    keptFor === 0 ? 'with the next garbage collection' : `after ${formatDuration(keptFor)}; until then it can be undone`
  const rest =
    untagged === undefined ? 'stay, by their digests' : `go ${formatDuration(untagged)} later, unless they get a tag`
  return h(
    'div',
    {},
    h(
      'ul',
      { class: 'plain going' },
      tags.slice(0, maxNamed).map(item => h('li', { key: item.tag }, h(Going, { item }))),
      tags.length > maxNamed && h('li', {}, `and ${count(tags.length - maxNamed, 'more tag')}`),
    ),
    attached.length > 0 &&
      h('p', {}, `Tags of signatures that go with them: ${attached.slice(0, maxNamed).join(', ')}`),
    h(
      'p',
      { class: 'frees' },
      images && manifests > 0
        ? `${count(manifests, 'manifest')} with ${formatSize(bytes)} of their own: free ${when}.`
        : `This frees nothing: the images ${images ? 'have other tags, or something needs them' : rest}.`,
    ),
  )
}

function Going({ item: { refused, retention, tag } }: { item: TagToGo }): ComponentChild {
  const reasons = {
    immutable: 'immutable: it stays',
    'not allowed': 'not for you to delete: it stays',
    unknown: 'not there any more',
  }
  return [
    h('span', { class: refused === undefined ? 'tag' : 'tag staying' }, tag),
    refused !== undefined && h('span', { class: 'quiet' }, reasons[refused]),
    retention !== undefined && h('span', { class: 'quiet' }, `retention: ${plain(retention)}`),
  ]
}

function outcomeOf(
  repository: string,
  { attached, bytes, keptFor, manifests, state, tags }: DeletionResult,
): typeof outcome.value {
  const what = tags.length === 1 ? `${tags[0]!.tag} is deleted` : `${count(tags.length, 'tag')} are deleted`
  const frees =
    manifests === 0 ? '' : ` ${formatSize(bytes)} will be free${keptFor === 0 ? '' : ` in ${formatDuration(keptFor)}`}.`
  return {
    text: `${what}.${frees}`,
    undo:
      state === undefined
        ? undefined
        : { repository, tags: [...tags.map(({ tag }) => tag), ...attached], to: state - 1, known: state },
  }
}
