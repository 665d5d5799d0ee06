import { h, type ComponentChild, type ComponentType } from 'preact'
import type { AccessSummary } from '../answers.ts'
import { useAnswer } from '../api.ts'
import { AdministratorNotice } from '../parts/administrators.ts'
import { Command } from '../parts/command.ts'
import { Notice } from '../parts/notice.ts'
import type { Route } from '../router.ts'
import { AuditView } from './access/audit-view.ts'
import { CheckView } from './access/check-view.ts'
import { FailuresView } from './access/failures-view.ts'
import { KeysView } from './access/keys-view.ts'
import { linkToView, type ViewProps } from './access/list.ts'
import { RulesView } from './access/rules-view.ts'
import { UsersView } from './access/users-view.ts'

const views: readonly { name: string; title: string; view: ComponentType<ViewProps> }[] = [
  { name: '', title: 'Who may do what', view: CheckView },
  { name: 'rules', title: 'Rules', view: RulesView },
  { name: 'users', title: 'Users', view: UsersView },
  { name: 'keys', title: 'API keys', view: KeysView },
  { name: 'failures', title: 'Failed log-ins', view: FailuresView },
  { name: 'audit', title: 'Audit log', view: AuditView },
]

/** Who may do what here, and who did; for administrators */
export function AccessPage({ route }: { route: Route }): ComponentChild {
  const { again, data, error } = useAnswer('access', {})
  return h(
    'div',
    {},
    h('h1', {}, 'Access'),
    error !== undefined && h(AdministratorNotice, { error, again }),
    error === undefined && data === undefined && h('p', { class: 'quiet waiting' }, 'Loading…'),
    data !== undefined && (data.isClosed ? h(Views, { route, summary: data }) : h(Open, {})),
  )
}

function Views({ route: { query }, summary }: { route: Route; summary: AccessSummary }): ComponentChild {
  const { name, title, view } = views.find(({ name }) => name === (query.get('view') ?? '')) ?? views[0]!
  return [
    h(
      'nav',
      { class: 'views', 'aria-label': 'Parts of this page', key: 'views' },
      views.map(other =>
        h(
          'a',
          { key: other.name, href: linkToView(other.name), 'aria-current': other.name === name ? 'true' : undefined },
          other.title,
        ),
      ),
    ),
    h('section', { 'aria-label': title, key: name }, h(view, { query, summary })),
  ]
}

function Open(): ComponentChild {
  return h(
    Notice,
    { title: 'This registry is open' },
    h('p', {}, 'There are no rules: everybody who reaches it can push, pull and delete. This command closes it:'),
    h(Command, { text: 'ipdr access init private', what: 'the command' }),
  )
}
