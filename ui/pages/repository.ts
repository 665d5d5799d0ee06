import { h, type ComponentChild } from 'preact'
import { useState } from 'preact/hooks'
import type { TagLine } from '../answers.ts'
import { useAnswer } from '../api.ts'
import { Copyable } from '../parts/copy.ts'
import { ErrorNotice, Notice } from '../parts/notice.ts'
import { Pager } from '../parts/pager.ts'
import { Path } from '../parts/path.ts'
import { Search } from '../parts/search.ts'
import { count, formatSize, shortDigest } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { linkTo, replaceRoute, type Route } from '../router.ts'

const limit = 50

/** The tags of one repository */
export function RepositoryPage({ route: { query, repository } }: { route: Route }): ComponentChild {
  const search = query.get('q') ?? ''
  const from = Number(query.get('from') ?? 0) || 0
  const [order, setOrder] = useState<'newest' | 'name'>('newest')
  const { again, data, error } = useAnswer('tags', { repository, q: search, order, from, n: limit })
  if (error !== undefined) {
    return h('div', {}, h(Path, { repository }), h(ErrorNotice, { error, again }))
  }
  const what = search === '' ? count(data?.total ?? 0, 'tag') : `${(data?.total ?? 0).toLocaleString('en')} found`
  return h(
    'div',
    {},
    h(Path, { repository }),
    h(
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
    ),
    data === undefined
      ? h('p', { class: 'quiet waiting' }, 'Loading…')
      : h('p', { class: 'quiet', role: 'status' }, what),
    data?.total === 0 && (search === '' ? h(NoTags, {}) : h(Notice, { title: 'No tag has this in its name' })),
    data !== undefined && data.total > 0 && h(TagTable, { repository, tags: data.items }),
    h(Pager, { from, limit, total: data?.total ?? 0, link: next => linkTo(repository, '', { q: search, from: next }) }),
  )
}

function NoTags(): ComponentChild {
  return h(
    Notice,
    { title: 'No tags' },
    h('p', {}, 'The images of this repository have no tags: they can be pulled by their digests.'),
  )
}

function TagTable({ repository, tags }: { repository: string; tags: readonly TagLine[] }): ComponentChild {
  return h(
    'table',
    { class: 'list' },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        ['Tag', 'Pushed', 'Size', 'Platforms', 'Digest'].map(name => h('th', { key: name, scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      tags.map(({ digest, platforms = [], size, tag, updated }) =>
        h(
          'tr',
          { key: tag },
          h('th', { scope: 'row' }, h('a', { href: linkTo(repository, tag) }, tag)),
          h('td', { 'data-name': 'Pushed' }, h(Time, { at: updated })),
          h('td', { 'data-name': 'Size', class: 'number' }, size === undefined ? '–' : formatSize(size)),
          h('td', { 'data-name': 'Platforms' }, platforms.length === 0 ? '–' : platforms.join(', ')),
          h(
            'td',
            { 'data-name': 'Digest' },
            digest === undefined
              ? '–'
              : h(Copyable, { text: digest, what: `the digest of ${tag}`, shown: shortDigest(digest) }),
          ),
        ),
      ),
    ),
  )
}
