import { h, type ComponentChild } from 'preact'
import type { AccessSummary } from '../../answers.ts'
import { useAnswer, type Answers } from '../../api.ts'
import { AdministratorNotice } from '../../parts/administrators.ts'
import { DataTable, type TableRow } from '../../parts/data-table.ts'
import { Pager } from '../../parts/pager.ts'
import { Search } from '../../parts/search.ts'
import { count } from '../../parts/texts.ts'
import { linkToSection, replaceRoute } from '../../router.ts'

const limit = 50

/** What each part of the page gets */
export interface ViewProps {
  query: URLSearchParams
  summary: AccessSummary
}

/** Lists that are searched and shown in parts */
type ListName = 'access/users' | 'access/keys' | 'access/rules' | 'access/failures'
type Item<Name extends ListName> = Answers[Name]['items'][number]

export interface ListProps<Name extends ListName> {
  /** Of the answer */
  name: Name
  /** In the address */
  view: string
  query: URLSearchParams
  /** What one of them is called */
  one: string
  /** Shown where there is nothing at all */
  empty: ComponentChild
  columns: readonly string[]
  row: (item: Item<Name>, again: () => void) => TableRow
  /** Milliseconds after which it is asked again; 0: never */
  every?: number
  /** Changes where it is to be asked again */
  turn?: number
}

/** The address of a part of this page */
export function linkToView(view: string, query: Record<string, string | number> = {}): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries({ view, ...query })) {
    if (String(value) !== '' && String(value) !== '0') {
      params.set(name, String(value))
    }
  }
  const text = params.toString()
  return `${linkToSection('access')}${text === '' ? '' : `?${text}`}`
}

/** A list with a search, in parts */
export function AccessList<Name extends ListName>(props: ListProps<Name>): ComponentChild {
  const { columns, empty, every = 0, name, one, query, row, turn = 0, view } = props
  const search = query.get('q') ?? ''
  const from = Number(query.get('from') ?? 0) || 0
  const { again, data, error } = useAnswer(name, { q: search, from, n: limit, turn }, every)
  if (error !== undefined) {
    return h(AdministratorNotice, { error, again })
  }
  if (data === undefined) {
    return h('p', { class: 'quiet waiting' }, 'Loading…')
  }
  const items = data.items as Item<Name>[]
  return [
    h(
      'div',
      { class: 'tools', key: 'tools' },
      h(Search, {
        label: `Search ${one}s`,
        placeholder: `Search ${one}s`,
        value: search,
        onSearch: text => {
          replaceRoute(linkToView(view, { q: text }))
        },
      }),
      h(
        'p',
        { class: 'quiet', role: 'status' },
        search === '' ? count(data.total, one) : count(data.total, 'found', 'found'),
      ),
    ),
    data.total === 0 && search === '' && h('p', { class: 'quiet', key: 'empty' }, empty),
    data.total > 0 &&
      h(DataTable, { key: 'table', label: `The ${one}s`, columns, rows: items.map(item => row(item, again)) }),
    h(Pager, {
      key: 'pager',
      from,
      limit,
      total: data.total,
      link: next => linkToView(view, { q: search, from: next }),
    }),
  ]
}
