import { h, type ComponentChild } from 'preact'
import { linkTo } from '../router.ts'
import { foldersOf, shortDigest } from './texts.ts'

/** Where one is: a heading of links to what is above */
export function Path({ repository, reference = '' }: { repository: string; reference?: string }): ComponentChild {
  const last = repository.split('/').at(-1)
  const isDigest = reference.includes(':')
  return h(
    'div',
    { class: 'path' },
    h('nav', { 'aria-label': 'Where you are', class: 'quiet' }, h('a', { href: linkTo() }, 'Images')),
    h(
      'h1',
      {},
      foldersOf(repository).map(({ folder, part }) =>
        h('a', { class: 'folder', key: folder, href: linkTo('', '', { in: folder }) }, part),
      ),
      reference === '' ? last : h('a', { href: linkTo(repository) }, last),
      reference !== '' &&
        h('span', { class: 'reference', title: reference }, isDigest ? `@${shortDigest(reference)}` : `:${reference}`),
    ),
  )
}
