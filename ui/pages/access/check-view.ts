import { h, type ComponentChild } from 'preact'
import { useAnswer } from '../../api.ts'
import { ErrorNotice } from '../../parts/notice.ts'
import { DataTable } from '../../parts/data-table.ts'
import { Field } from '../../parts/field.ts'
import { plain } from '../../parts/texts.ts'
import { replaceRoute } from '../../router.ts'
import { linkToView, type ViewProps } from './list.ts'
import { ruleColumns, ruleRow } from './rules-view.ts'

const actions = ['pull', 'push', 'tag', 'delete', 'admin'] as const
const examples = 'alice, key:ci, cert:builder, github:example-org/app or anonymous'

/** Asks whether somebody may do something, and which rule says so */
export function CheckView({ query }: ViewProps): ComponentChild {
  const [user = '', repository = '', action = 'pull', group = ''] = ['user', 'repository', 'action', 'group'].map(
    name => query.get(name) ?? undefined,
  )
  const isAsked = user !== '' && repository !== ''
  const onSubmit = (event: SubmitEvent): void => {
    event.preventDefault()
    const values = new FormData(event.currentTarget as HTMLFormElement)
    const texts = Object.fromEntries(Array.from(values, ([name, value]) => [name, String(value).trim()]))
    replaceRoute(linkToView('', texts))
  }
  return [
    h(
      'form',
      { class: 'form', key: 'form', onSubmit },
      h(Field, { name: 'user', label: 'Who', value: user, hint: examples, required: true }),
      h(Field, {
        name: 'repository',
        label: 'Repository',
        value: repository,
        hint: 'such as team/app, or team/app:v1 where the tag matters',
        required: true,
      }),
      h(Field, { name: 'action', label: 'Action', value: action, options: actions }),
      h(Field, {
        name: 'group',
        label: 'Groups',
        value: group,
        hint: 'only for users of an issuer: what their token tells',
      }),
      h('p', {}, h('button', { type: 'submit' }, 'Ask the rules')),
    ),
    isAsked && h(Answer, { key: 'answer', user, repository, action, group }),
  ]
}

function Answer(question: Record<'user' | 'repository' | 'action' | 'group', string>): ComponentChild {
  const { again, data, error } = useAnswer('access/check', question)
  const { action, repository, user } = question
  const verb = { pull: 'pull from', push: 'push to', tag: 'move tags of', delete: 'delete from', admin: 'administer' }[
    action
  ]
  return h(
    'div',
    { class: 'next', role: 'status' },
    error !== undefined && h(ErrorNotice, { error, again }),
    data !== undefined && [
      h(
        'h2',
        { key: 'answer' },
        data.allowed ? 'Yes: ' : 'No: ',
        h('bdi', {}, plain(user)),
        data.allowed ? ' may ' : ' may not ',
        verb ?? action,
        ' ',
        h('bdi', {}, plain(repository)),
      ),
      h('p', { key: 'why' }, reasonOf(data)),
      data.rule !== undefined &&
        h(DataTable, { key: 'rule', label: 'The rule that decides', columns: ruleColumns, rows: [ruleRow(data.rule)] }),
    ],
  )
}

function reasonOf({ allowed, rule }: { allowed: boolean; rule?: { source: string } }): string {
  if (rule === undefined) {
    return allowed ? 'There are no rules.' : 'No rule allows it.'
  }
  return allowed ? 'This rule allows it, and none denies it:' : 'This rule denies it, whatever others allow:'
}
