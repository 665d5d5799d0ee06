import { h, type ComponentChild } from 'preact'
import type { AccessRule } from '../../answers.ts'
import type { TableRow } from '../../parts/data-table.ts'
import { plain } from '../../parts/texts.ts'
import { AccessList, type ViewProps } from './list.ts'

export const ruleColumns = ['Where', 'Effect', 'Who', 'Repositories', 'Actions', 'Tags'] as const

/** The rules, as the file has them */
export function RulesView({ query }: ViewProps): ComponentChild {
  return h(AccessList<'access/rules'>, {
    name: 'access/rules',
    view: 'rules',
    query,
    one: 'rule',
    empty: 'The file has no rules, so nobody may do anything.',
    columns: ruleColumns,
    row: rule => ruleRow(rule),
  })
}

export function ruleRow({ actions, effect, repositories, source, subjects, tags }: AccessRule): TableRow {
  return {
    key: source,
    cells: [
      h('bdi', {}, plain(source)),
      effect,
      list(subjects),
      list(repositories),
      actions.join(', '),
      tags === undefined ? 'all' : list(tags),
    ],
  }
}

function list(texts: readonly string[]): ComponentChild {
  return texts.map((text, i) => [i > 0 && ', ', h('code', { key: text }, h('bdi', {}, plain(text)))])
}
