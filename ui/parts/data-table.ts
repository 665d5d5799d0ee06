import { h, type ComponentChild } from 'preact'

export interface TableRow {
  key: string
  /** The first is the heading of the row */
  cells: readonly ComponentChild[]
  /** What selects the row; undefined where it can't be selected */
  select?: ComponentChild
}

interface TableProps {
  /** Its name for who can't see it */
  label: string
  /** Names of the columns */
  columns: readonly string[]
  /** Those of the columns that hold numbers */
  numbers?: readonly string[]
  rows: readonly TableRow[]
  /** What selects all rows; undefined where rows can't be selected */
  selectAll?: ComponentChild
}

/**
 * A table, which becomes a list on small screens. The roles stand there although its elements have them: a browser takes
 * them away from what is no table by its style.
 */
export function DataTable({ columns, label, numbers = [], rows, selectAll }: TableProps): ComponentChild {
  const isSelectable = selectAll !== undefined
  return h(
    'table',
    { role: 'table', class: isSelectable ? 'list selectable' : 'list', 'aria-label': label },
    h(
      'thead',
      { role: 'rowgroup' },
      h(
        'tr',
        { role: 'row' },
        isSelectable && h('td', { role: 'cell', class: 'select' }, selectAll),
        columns.map(name => h('th', { key: name, role: 'columnheader', scope: 'col' }, name)),
      ),
    ),
    h(
      'tbody',
      { role: 'rowgroup' },
      rows.map(({ cells, key, select }) =>
        h(
          'tr',
          { key, role: 'row' },
          isSelectable && h('td', { role: 'cell', class: 'select' }, select),
          cells.map((cell, i) => {
            const name = columns[i]!
            return i === 0
              ? h('th', { key: name, role: 'rowheader', scope: 'row' }, cell)
              : h(
                  'td',
                  { key: name, role: 'cell', 'data-name': name, class: numbers.includes(name) ? 'number' : '' },
                  cell,
                )
          }),
        ),
      ),
    ),
  )
}
