import { h, type ComponentChild } from 'preact'
import type { Session } from '../answers.ts'
import type { ApiError } from '../api.ts'
import { hasImages, linkTo, linkToSection, route } from '../router.ts'
import { session } from '../session.ts'
import { Command } from './command.ts'
import { LogInLinks } from './log-in.ts'
import { ErrorNotice, Notice } from './notice.ts'
import { TokenForm } from './token-form.ts'

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/

/** Why a page for administrators shows nothing, and what to do about it */
export function AdministratorNotice({ error, again }: { error: ApiError; again: () => void }): ComponentChild {
  if (session.value === undefined) {
    return h(ErrorNotice, { error, again })
  }
  const { adminAddress, takesToken } = session.value
  if (error.status === 401) {
    return takesToken
      ? h(TokenForm, {})
      : h(
          Notice,
          { title: 'This page is for administrators' },
          h('p', {}, 'Log in as somebody whom the rules of this registry let administer it.'),
          h(LogInLinks, {}),
        )
  }
  if (error.status === 403) {
    return adminAddress === undefined
      ? h(
          Notice,
          { title: 'This page is for administrators' },
          h('p', {}, 'The rules of this registry do not let you administer it. Whoever runs it can change that.'),
          hasImages && h('p', {}, h('a', { href: linkTo() }, 'See all repositories')),
        )
      : h(Elsewhere, adminAddress)
  }
  return h(ErrorNotice, { error, again })
}

/** Administration has a port of its own, without TLS */
function Elsewhere({ host, port }: NonNullable<Session['adminAddress']>): ComponentChild {
  const here = location.hostname.replace(/^\[|\]$/g, '')
  const name = host ?? here
  const authority = `${name.includes(':') ? `[${name}]` : name}:${port}`
  const url = `http://${authority}/${linkToSection(route.value.section)}`
  const isAway = loopback.test(name) && !loopback.test(here)
  return h(
    Notice,
    { title: 'Administration has a port of its own' },
    h('p', {}, h('a', { href: url }, `Administer this registry at ${authority}`)),
    isAway && [
      h(
        'p',
        { key: 'why' },
        'That port can be reached only from the machine that the registry runs on. A tunnel leads there from here:',
      ),
      h(Command, { key: 'how', text: `ssh -L ${port}:${authority} ${here}`, what: 'the command' }),
    ],
  )
}
