import { h, type ComponentChild } from 'preact'

export interface TableRow {
  key: string
  /** The first is the heading of the row */
  cells: readonly ComponentChild[]
}

/** A table, which becomes a list on small screens */
export function DataTable({
  columns,
  label,
  rows,
}: {
  label: string
  columns: readonly string[]
  rows: readonly TableRow[]
}): ComponentChild {
  return h(
    'table',
    { class: 'list', 'aria-label': label },
    h(
      'thead',
      {},
      h(
        'tr',
        {},
        columns.map(name => h('th', { key: name, scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      {},
      rows.map(({ cells, key }) =>
        h(
          'tr',
          { key },
          cells.map((cell, i) =>
            i === 0
              ? h('th', { key: columns[i], scope: 'row' }, cell)
              : h('td', { key: columns[i], 'data-name': columns[i] }, cell),
          ),
        ),
      ),
    ),
  )
}
