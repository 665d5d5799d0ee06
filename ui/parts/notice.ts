import { h, type ComponentChild, type ComponentChildren } from 'preact'
import type { ApiError } from '../api.ts'
import { linkTo } from '../router.ts'
import { LogInLinks } from './log-in.ts'
import { plain } from './texts.ts'

/** A message instead of content */
export function Notice({ title, children }: { title: string; children?: ComponentChildren }): ComponentChild {
  return h('div', { class: 'notice' }, h('h2', {}, title), children)
}

/** What went wrong, and what to do about it */
export function ErrorNotice({ error, again }: { error: ApiError; again: () => void }): ComponentChild {
  const retry = h('p', {}, h('button', { type: 'button', onClick: again }, 'Try again'))
  const home = h('p', {}, h('a', { href: linkTo() }, 'See all repositories'))
  switch (error.status) {
    case 0:
      return h(
        Notice,
        { title: 'The registry does not answer' },
        h('p', {}, 'It may be restarting, or the network may be down.'),
        retry,
      )
    case 401:
      return h(
        Notice,
        { title: 'Log in to see this' },
        h('p', {}, 'This registry shows it to certain people only.'),
        h(LogInLinks, {}),
      )
    case 403:
      return h(
        Notice,
        { title: 'This is not for you to see' },
        h('p', {}, 'The rules of this registry do not let you pull this. Whoever runs it can change that.'),
        home,
      )
    case 404:
      return h(
        Notice,
        { title: 'There is nothing by this name' },
        h('p', {}, 'It may have been deleted, or the name is not quite right.'),
        home,
      )
    case 429:
      return h(Notice, { title: 'Too many requests' }, h('p', {}, 'Wait a moment.'), retry)
    default:
      return h(
        Notice,
        { title: error.status === 503 ? 'The registry can’t show this now' : 'This did not work' },
        h('p', {}, h('bdi', {}, plain(error.message))),
        retry,
      )
  }
}
