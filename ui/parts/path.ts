import { h, type ComponentChild } from 'preact'
import { linkTo } from '../router.ts'
import { shortDigest } from './texts.ts'

/** Where one is: a heading of links to what is above */
export function Path({ repository, reference = '' }: { repository: string; reference?: string }): ComponentChild {
  const parts = repository.split('/')
  const isDigest = reference.includes(':')
  return h(
    'div',
    { class: 'path' },
    h('nav', { 'aria-label': 'Where you are', class: 'quiet' }, h('a', { href: linkTo() }, 'Images')),
    h(
      'h1',
      {},
      parts.slice(0, -1).map((part, i) => {
        const folder = `${parts.slice(0, i + 1).join('/')}/`
        return h('a', { class: 'folder', key: folder, href: linkTo('', '', { in: folder }) }, `${part}/`)
      }),
      reference === '' ? parts.at(-1) : h('a', { href: linkTo(repository) }, parts.at(-1)),
      reference !== '' &&
        h('span', { class: 'reference', title: reference }, isDigest ? `@${shortDigest(reference)}` : `:${reference}`),
    ),
  )
}
