import { h, type ComponentChild } from 'preact'
import type { AccessSummary } from '../../answers.ts'
import { DataTable } from '../../parts/data-table.ts'
import { plain } from '../../parts/texts.ts'
import { AccessList, linkToView, type ViewProps } from './list.ts'

/** Users of the password file, groups, and whose tokens and log-ins count */
export function UsersView({ query, summary }: ViewProps): ComponentChild {
  return [
    h(AccessList<'access/users'>, {
      key: 'users',
      name: 'access/users',
      view: 'users',
      query,
      one: 'user',
      empty: h('span', {}, 'There are none. ', h('code', {}, 'htpasswd -B ./data/htpasswd NAME'), ' makes one.'),
      columns: ['User', 'Groups', 'Rules'],
      row: ({ groups, name }) => ({
        key: name,
        cells: [
          h('bdi', {}, plain(name)),
          groups.length === 0 ? '–' : h('bdi', {}, plain(groups.join(', '))),
          h('a', { href: linkToView('', { user: name }) }, 'What ', h('bdi', {}, plain(name)), ' may do'),
        ],
      }),
    }),
    h(Groups, { key: 'groups', summary }),
    h(Issuers, { key: 'issuers', summary }),
  ]
}

function Groups({ summary: { groups } }: { summary: AccessSummary }): ComponentChild {
  return (
    groups.length > 0 && [
      h('h2', { class: 'next', key: 'title' }, 'Groups'),
      h(DataTable, {
        key: 'table',
        label: 'The groups',
        columns: ['Group', 'Members'],
        rows: groups.map(({ members, name }) => ({
          key: name,
          cells: [h('bdi', {}, plain(name)), h('bdi', {}, plain(members.join(', ')))],
        })),
      }),
    ]
  )
}

function Issuers({ summary: { issuers } }: { summary: AccessSummary }): ComponentChild {
  return (
    issuers.length > 0 && [
      h('h2', { class: 'next', key: 'title' }, 'Issuers of tokens'),
      h(DataTable, {
        key: 'table',
        label: 'The issuers',
        columns: ['Issuer', 'Address', 'People log in there'],
        rows: issuers.map(({ hasLogIn, issuer, name }) => ({
          key: name,
          cells: [name, h('bdi', {}, plain(issuer)), hasLogIn ? 'yes' : 'no'],
        })),
      }),
    ]
  )
}
