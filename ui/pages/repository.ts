import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import { useAnswer } from '../api.ts'
import { changes } from '../changes.ts'
import { useImageChanges } from '../live.ts'
import { Later } from '../parts/later.ts'
import { ErrorNotice, Notice } from '../parts/notice.ts'
import { OutcomeNotice } from '../parts/outcome.ts'
import { Pager } from '../parts/pager.ts'
import { Path } from '../parts/path.ts'
import { Search, Unsearched } from '../parts/search.ts'
import { count } from '../parts/texts.ts'
import { linkTo, replaceRoute, type Route } from '../router.ts'
import type { PageType } from '../sections.ts'
import { DeleteDialog } from './deletion.ts'
import { TagTable } from './tag-table.ts'

const limit = 50
/** Tags that can be deleted at once; as the server has it */
const maxSelected = 500

const historyPage = async (): Promise<PageType> => (await import('./history.ts')).HistoryPage

/** The tags of one repository, or what has changed there */
export function RepositoryPage({ route }: { route: Route }): ComponentChild {
  return route.query.get('view') === 'history' ? h(Later, { load: historyPage, route }) : h(Tags, { route })
}

function Tags({ route: { query, repository } }: { route: Route }): ComponentChild {
  const search = query.get('q') ?? ''
  const from = Number(query.get('from') ?? 0) || 0
  const [order, setOrder] = useState<'newest' | 'name'>('newest')
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const asked = { repository, q: search, order, from, n: limit, after: changes.value }
  const { again, data, error } = useAnswer('tags', asked)
  useImageChanges(again, repository)
  if (error !== undefined) {
    return h('div', {}, h(Path, { repository }), h(OutcomeNotice, {}), h(ErrorNotice, { error, again }))
  }
  const what = search === '' ? count(data?.total ?? 0, 'tag') : `${(data?.total ?? 0).toLocaleString('en')} found`
  return h(
    'div',
    {},
    h(Path, { repository }),
    h(OutcomeNotice, {}),
    h(Tools, { repository, search, order, setOrder }),
    data === undefined
      ? h('p', { class: 'quiet waiting' }, 'Loading…')
      : h(
          'div',
          { class: 'tools' },
          h('p', { class: 'quiet', role: 'status' }, what),
          data.may.undo && h('a', { href: linkTo(repository, '', { view: 'history' }) }, 'History'),
        ),
    h(Unsearched, { unsearched: data?.unsearched, again }),
    data !== undefined && h(Selection, { repository, selected, setSelected }),
    data?.total === 0 &&
      (search === ''
        ? h(NoTags, {})
        : h(Notice, {
            title: data.unsearched === undefined ? 'No tag has this in its name' : 'No image is like this',
          })),
    data !== undefined && data.total > 0 && h(TagTable, { repository, tags: data.items, selected, setSelected }),
    h(Pager, { from, limit, total: data?.total ?? 0, link: next => linkTo(repository, '', { q: search, from: next }) }),
  )
}

function Tools({
  order,
  repository,
  search,
  setOrder,
}: {
  repository: string
  search: string
  order: 'newest' | 'name'
  setOrder: (order: 'newest' | 'name') => void
}): ComponentChild {
  return h(
    'div',
    { class: 'tools' },
    h(Search, {
      label: 'Search tags',
      placeholder: 'Search tags',
      value: search,
      onSearch: text => {
        replaceRoute(linkTo(repository, '', { q: text }))
      },
    }),
    h(
      'label',
      { class: 'quiet' },
      'Order ',
      h(
        'select',
        {
          value: order,
          onChange: (event: Event) => {
            setOrder((event.currentTarget as HTMLSelectElement).value as typeof order)
          },
        },
        h('option', { value: 'newest' }, 'newest first'),
        h('option', { value: 'name' }, 'by name'),
      ),
    ),
  )
}

/** What can be done with the tags that are selected, on whatever part of the list they are */
function Selection({
  repository,
  selected,
  setSelected,
}: {
  repository: string
  selected: ReadonlySet<string>
  setSelected: (tags: ReadonlySet<string>) => void
}): ComponentChild {
  const [isOpen, setOpen] = useState(false)
  if (selected.size === 0) {
    return null
  }
  const isTooMany = selected.size > maxSelected
  return h(
    'div',
    { class: 'selection', role: 'group', 'aria-label': 'Selected tags' },
    h('span', { role: 'status' }, `${count(selected.size, 'tag')} selected`),
    h(
      'button',
      {
        type: 'button',
        disabled: isTooMany,
        onClick: () => {
          setOpen(true)
        },
      },
      'Delete…',
    ),
    h(
      'button',
      {
        type: 'button',
        onClick: () => {
          setSelected(new Set())
        },
      },
      'Select none',
    ),
    isTooMany && h('span', { class: 'quiet' }, `At most ${maxSelected} can be deleted at once.`),
    isOpen &&
      h(DeleteDialog, {
        repository,
        tags: [...selected],
        onClose: () => {
          setOpen(false)
        },
        onDeleted: () => {
          setOpen(false)
          setSelected(new Set())
        },
      }),
  )
}

function NoTags(): ComponentChild {
  return h(
    Notice,
    { title: 'No tags' },
    h('p', {}, 'The images of this repository have no tags: they can be pulled by their digests.'),
  )
}
