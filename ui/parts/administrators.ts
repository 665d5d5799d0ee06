import { h, type ComponentChild } from 'preact'
import type { ApiError } from '../api.ts'
import { linkTo } from '../router.ts'
import { LogInLinks } from './log-in.ts'
import { ErrorNotice, Notice } from './notice.ts'

/** Why a page for administrators shows nothing */
export function AdministratorNotice({ error, again }: { error: ApiError; again: () => void }): ComponentChild {
  if (error.status === 401) {
    return h(
      Notice,
      { title: 'This page is for administrators' },
      h('p', {}, 'Log in as somebody whom the rules of this registry let administer it.'),
      h(LogInLinks, {}),
    )
  }
  if (error.status === 403) {
    return h(
      Notice,
      { title: 'This page is for administrators' },
      h('p', {}, 'The rules of this registry do not let you administer it. Whoever runs it can change that.'),
      h('p', {}, h('a', { href: linkTo() }, 'See all repositories')),
    )
  }
  return h(ErrorNotice, { error, again })
}
