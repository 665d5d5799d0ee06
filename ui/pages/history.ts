import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { Change, TagDifference } from '../answers.ts'
import { useAnswer, type ApiError } from '../api.ts'
import { changes, outcome, undo } from '../changes.ts'
import { Command, host, isLocal, isSecure } from '../parts/command.ts'
import { Dialog, Problem } from '../parts/dialog.ts'
import { ErrorNotice, Notice } from '../parts/notice.ts'
import { OutcomeNotice } from '../parts/outcome.ts'
import { Path } from '../parts/path.ts'
import { count, problemOf, shortDigest } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { linkTo, type Route } from '../router.ts'

const limit = 50
/** Tags and manifests that are named of one change, and of the difference of two states */
const [maxNamed, maxDiffers] = [4, 200]

const actions: Record<Change['action'], string> = {
  push: 'Push',
  delete: 'Deletion',
  undo: 'Undo',
  gc: 'Garbage collection',
  retention: 'Retention',
  forget: 'Forgotten',
}

/** What has changed in a repository, what differs between two states, and the way back */
export function HistoryPage({ route: { query, repository } }: { route: Route }): ComponentChild {
  const tag = query.get('tag') ?? ''
  const before = Number(query.get('before') ?? 0) || 0
  const [compared, setCompared] = useState<number | undefined>()
  const { again, data, error } = useAnswer('history', {
    ...{ repository, n: limit, after: changes.value },
    ...(tag === '' ? {} : { tag }),
    ...(before === 0 ? {} : { before }),
  })
  const last = data?.changes.at(-1)
  return h(
    'div',
    {},
    h(Path, { repository }),
    h(OutcomeNotice, {}),
    h('h2', {}, tag === '' ? 'History' : `History of ${tag}`),
    h(
      'p',
      { class: 'quiet' },
      tag !== '' && [
        h('a', { href: linkTo(repository, '', { view: 'history' }) }, 'All changes of the repository'),
        ' · ',
      ],
      h('a', { href: linkTo(repository) }, 'Tags'),
    ),
    error !== undefined && h(ErrorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data?.changes.length === 0 && h(Notice, { title: 'No change is remembered' }),
    h(
      'ul',
      { class: 'rows' },
      data?.changes.map(change =>
        h(ChangeRow, {
          key: change.state,
          change,
          tag,
          compared,
          setCompared,
          isLast: before === 0 && change === data.changes[0],
        }),
      ),
    ),
    data?.more === true &&
      h(
        'nav',
        { class: 'pager', 'aria-label': 'Pages of the list' },
        h('span', {}),
        h('a', { href: linkTo(repository, '', { view: 'history', tag, before: last!.state }), rel: 'next' }, 'Older →'),
      ),
  )
}

function ChangeRow({
  change,
  compared,
  isLast,
  setCompared,
  tag,
}: {
  change: Change
  tag: string
  /** The state whose difference from now is shown */
  compared: number | undefined
  setCompared: (state: number | undefined) => void
  isLast: boolean
}): ComponentChild {
  const { action, by, repository, state, time } = change
  const [isAsked, setAsked] = useState(false)
  const isCompared = compared === state
  return h(
    'li',
    { class: 'row' },
    h('div', { class: 'row-name' }, `${state} · ${actions[action]}`),
    h('div', { class: 'row-count quiet' }, h(Time, { at: time })),
    h('div', { class: 'row-facts' }, h(What, { change })),
    h(
      'div',
      { class: 'row-facts quiet' },
      by !== undefined && h('span', {}, 'by ', h('bdi', {}, by)),
      !isLast &&
        action !== 'forget' && [
          h(
            'button',
            {
              type: 'button',
              key: 'differences',
              'aria-expanded': isCompared,
              onClick: () => {
                setCompared(isCompared ? undefined : state)
              },
            },
            'What has changed since',
          ),
          h(
            'button',
            {
              type: 'button',
              key: 'undo',
              onClick: () => {
                setAsked(true)
              },
            },
            `Go back to state ${state}…`,
          ),
        ],
    ),
    isCompared && h(Since, { repository, state, tag }),
    isAsked &&
      h(UndoDialog, {
        repository,
        state,
        tag,
        onClose: () => {
          setAsked(false)
        },
      }),
  )
}

function What({ change: { action, blobs, manifests, tags } }: { change: Change }): ComponentChild {
  if (action === 'forget') {
    return h('span', { class: 'quiet' }, 'What was before is not known any more.')
  }
  const known = manifests.filter(({ after, before }) => after === undefined || before === undefined)
  const items = [
    ...tags.map(difference => h(TagMove, { difference })),
    ...known.map(({ after, digest }) =>
      h('span', {}, after === undefined ? 'image deleted ' : 'new image ', h('code', {}, shortDigest(digest))),
    ),
    ...blobs.map(digest => h('span', {}, 'blob deleted ', h('code', {}, shortDigest(digest)))),
  ]
  const more = items.length - maxNamed
  return [items.slice(0, maxNamed), more > 0 && h('span', { class: 'quiet' }, `and ${more.toLocaleString('en')} more`)]
}

function TagMove({ difference: { after, before, tag } }: { difference: TagDifference }): ComponentChild {
  return h(
    'span',
    {},
    h('span', { class: 'tag' }, tag),
    before === undefined ? 'new' : h('code', {}, shortDigest(before)),
    ' → ',
    after === undefined ? 'deleted' : h('code', {}, shortDigest(after)),
  )
}

/** What differs between a state and now */
function Since({ repository, state, tag }: { repository: string; state: number; tag: string }): ComponentChild {
  const { again, data, error } = useAnswer('differences', { repository, from: state, after: changes.value })
  if (error !== undefined) {
    return h('div', { class: 'row-facts' }, h(ErrorNotice, { error, again }))
  }
  if (data === undefined) {
    return h('div', { class: 'row-facts quiet' }, 'Loading…')
  }
  const { manifests, tags } = data
  return h(
    'div',
    { class: 'row-facts differences' },
    tags.length + manifests.length === 0
      ? h('p', {}, 'Nothing differs from what is there now.')
      : h(
          'p',
          {},
          `${count(tags.length, 'tag')} and ${count(manifests.length, 'image')} differ from what is there now.`,
        ),
    h(
      'ul',
      { class: 'plain' },
      tags.slice(0, maxDiffers).map(difference => h('li', { key: difference.tag }, h(TagMove, { difference }))),
      tags.length > maxDiffers && h('li', {}, `and ${count(tags.length - maxDiffers, 'more tag')}`),
    ),
    h(PullThen, { repository, state, tag: tag === '' ? tags.find(wasThere)?.tag : tag }),
  )
}

function wasThere({ before }: TagDifference): boolean {
  return before !== undefined
}

/** The command that gets an image as it was in a state, even if it was deleted since */
function PullThen({
  repository,
  state,
  tag,
}: {
  repository: string
  state: number
  /** Undefined: none that is of interest */
  tag: string | undefined
}): ComponentChild {
  const name = `${host}/${repository}${tag === undefined ? '' : `:${tag}`}`
  const text = `ipdr pull ${name} --at ${state}${isSecure || isLocal ? '' : ' --plain-http'}`
  return h('div', { class: 'commands' }, h(Command, { text, what: 'the command that pulls what was there' }))
}

function UndoDialog({
  onClose,
  repository,
  state,
  tag,
}: {
  repository: string
  /** Empty: the whole repository */
  tag: string
  state: number
  onClose: () => void
}): ComponentChild {
  const [problem, setProblem] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)
  const init = { repository, ...(tag === '' ? {} : { tags: [tag] }) }
  const onUndo = async (): Promise<void> => {
    setBusy(true)
    try {
      const { state: next } = await undo({ ...init, to: state })
      const again = next === undefined ? undefined : { ...init, to: next - 1, known: next }
      outcome.value = { text: `${tag === '' ? repository : tag} is as it was in state ${state}.`, undo: again }
      onClose()
    } catch (err) {
      setProblem(problemOf(err as ApiError))
      setBusy(false)
    }
  }
  return h(
    Dialog,
    { title: `Make ${tag === '' ? 'the repository' : tag} as it was in state ${state}?`, onClose },
    h(
      'p',
      {},
      tag === ''
        ? 'Tags and images come back that were deleted since. What was pushed since goes, and can be brought back in the same way.'
        : 'It leads to what it led to then. Images that were pushed since stay, by their digests.',
    ),
    problem !== undefined && h(Problem, { text: problem }),
    h(
      'div',
      { class: 'actions' },
      h('button', { type: 'button', disabled: isBusy, onClick: () => void onUndo() }, 'Go back'),
      h('button', { type: 'button', onClick: onClose }, 'Cancel'),
    ),
  )
}
