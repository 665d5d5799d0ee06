import { h, type ComponentChild } from 'preact'
import type { FolderLine, Place, RepositoryLine } from '../answers.ts'
import { useAnswer } from '../api.ts'
import { isConnected, useImageChanges } from '../live.ts'
import { LogInLinks } from '../parts/log-in.ts'
import { ErrorNotice, Notice } from '../parts/notice.ts'
import { Pager } from '../parts/pager.ts'
import { Search, Unsearched } from '../parts/search.ts'
import { count, foldersOf, formatSize, shortDigest } from '../parts/texts.ts'
import { Time } from '../parts/time.ts'
import { linkTo, replaceRoute, type Route } from '../router.ts'
import { session } from '../session.ts'
import { FirstPush } from './first-push.ts'

const limit = 50
/** Milliseconds, where the server does not tell of changes: whoever pushes wants to see it come */
const refresh = 5000
/** A digest, or what is as long as a CID: the shortest has 46 characters */
const address = /\bsha(256|512):[0-9a-f]+|^\s*(\/?ip[fn]s(\/|:\/\/))?[A-Za-z0-9]{46,}\s*$/

/** All repositories, and what is searched for among them */
export function ImagesPage({ route }: { route: Route }): ComponentChild {
  const search = route.query.get('q') ?? ''
  const folder = route.query.get('in') ?? ''
  const from = Number(route.query.get('from') ?? 0) || 0
  const isAddress = address.test(search)
  const list = useAnswer(
    'repositories',
    isAddress ? undefined : { q: search, in: folder, from, n: limit },
    from === 0 && !isConnected.value ? refresh : 0,
  )
  useImageChanges(list.again)
  const places = useAnswer('find', isAddress ? { q: search } : undefined)
  const isEmpty = !isAddress && list.data?.total === 0 && search === '' && folder.length < 2
  return h(
    'div',
    {},
    folder.length < 2 ? h('h1', {}, 'Images') : h(FolderPath, { folder }),
    isEmpty
      ? h(Empty, {})
      : [
          h(Search, {
            key: 'search',
            label: 'Search images',
            placeholder: 'Search by name, name:tag, digest or CID',
            value: search,
            onSearch: text => {
              replaceRoute(linkTo('', '', { in: folder, q: text }))
            },
            onEnter: () => {
              const only = places.data?.places.length === 1 ? places.data.places[0] : undefined
              if (only?.digest !== undefined) {
                location.hash = linkTo(only.repository, only.digest)
              }
            },
          }),
          isAddress
            ? h(Places, { key: 'places', ...places })
            : h(Repositories, { key: 'repositories', search, folder, from, ...list }),
        ],
  )
}

function Empty(): ComponentChild {
  const { logIn = [], name } = session.value ?? {}
  if (logIn.length > 0 && name === undefined) {
    return h(
      Notice,
      { title: 'Log in to see what is here' },
      h('p', {}, 'Nothing in this registry is for everybody. Log in to see what is for you.'),
      h(LogInLinks, {}),
    )
  }
  return h(FirstPush, {})
}

function Repositories({
  again,
  data,
  error,
  folder,
  from,
  search,
}: { search: string; folder: string; from: number } & ReturnType<typeof useAnswer<'repositories'>>): ComponentChild {
  if (error !== undefined) {
    return h(ErrorNotice, { error, again })
  }
  if (data === undefined) {
    return h('p', { class: 'quiet waiting' }, 'Loading…')
  }
  const one = folder === '' ? 'repository' : 'entry'
  const what =
    search === '' ? count(data.total, one, one.replace('y', 'ies')) : `${data.total.toLocaleString('en')} found`
  return h(
    'section',
    { 'aria-label': 'Repositories' },
    h(
      'div',
      { class: 'tools' },
      h('p', { class: 'quiet', role: 'status' }, what),
      h(
        'a',
        { href: linkTo('', '', { in: folder === '' ? '/' : '', q: search }) },
        folder === '' ? 'Show folders' : 'Show all repositories',
      ),
    ),
    h(Unsearched, { unsearched: data.unsearched, again }),
    data.total === 0 &&
      h(
        Notice,
        { title: data.unsearched === undefined ? 'Nothing has such a name' : 'No image is like this' },
        h(
          'p',
          {},
          'Parts of names and tags are enough: ',
          h('code', {}, 'app'),
          ', ',
          h('code', {}, 'team/'),
          ' or ',
          h('code', {}, 'app:v1'),
          '. Conditions on images are ',
          h('code', {}, 'platform:linux/arm64'),
          ' and ',
          h('code', {}, 'annotation:name=value'),
          '.',
        ),
      ),
    h(
      'ul',
      { class: 'rows' },
      data.items.map(line =>
        'folder' in line ? h(FolderRow, { key: line.folder, line }) : h(RepositoryRow, { key: line.name, line }),
      ),
    ),
    h(Pager, { from, limit, total: data.total, link: next => linkTo('', '', { in: folder, q: search, from: next }) }),
  )
}

function FolderRow({ line: { folder, repositories, updated } }: { line: FolderLine }): ComponentChild {
  return h(
    'li',
    { class: 'row' },
    h('div', { class: 'row-name' }, h('a', { href: linkTo('', '', { in: folder }) }, folder)),
    h('div', { class: 'row-count quiet' }, count(repositories, 'repository', 'repositories')),
    h('div', { class: 'row-facts quiet' }, h(Time, { at: updated })),
  )
}

/** The folder as a heading, each part a link to what is in it */
function FolderPath({ folder }: { folder: string }): ComponentChild {
  const parts = folder.split('/').filter(part => part !== '')
  return h(
    'div',
    { class: 'path' },
    h(
      'nav',
      { 'aria-label': 'Where you are', class: 'quiet' },
      h('a', { href: linkTo('', '', { in: '/' }) }, 'Images'),
    ),
    h(
      'h1',
      {},
      parts.map((part, i) => {
        const path = `${parts.slice(0, i + 1).join('/')}/`
        return i === parts.length - 1
          ? `${part}/`
          : h('a', { class: 'folder', key: path, href: linkTo('', '', { in: path }) }, `${part}/`)
      }),
    ),
  )
}

function RepositoryRow({ line: { found, name, newest, tags } }: { line: RepositoryLine }): ComponentChild {
  const size = newest?.size
  return h(
    'li',
    { class: 'row' },
    h('div', { class: 'row-name' }, h(RepositoryName, { name })),
    h('div', { class: 'row-count quiet' }, count(tags, 'tag')),
    newest !== undefined &&
      h(
        'div',
        { class: 'row-facts quiet' },
        h('a', { class: 'tag', href: linkTo(name, newest.tag) }, newest.tag),
        h(Time, { at: newest.updated }),
        size !== undefined && h('span', {}, formatSize(size)),
        newest.platforms !== undefined && newest.platforms.length > 0 && h('span', {}, newest.platforms.join(', ')),
      ),
    found.length > 0 &&
      h(
        'div',
        { class: 'row-facts quiet' },
        'Found: ',
        found.map(tag => h('a', { class: 'tag', key: tag, href: linkTo(name, tag) }, tag)),
      ),
  )
}

/** The last part of a name leads to the repository, those before it to all that begin so */
function RepositoryName({ name }: { name: string }): ComponentChild {
  return h(
    'span',
    { class: 'repository-name' },
    foldersOf(name).map(({ folder, part }) =>
      h(
        'a',
        { class: 'folder', key: folder, href: linkTo('', '', { in: folder }), 'aria-label': `All in ${folder}` },
        part,
      ),
    ),
    h('a', { href: linkTo(name), 'aria-label': name }, name.split('/').at(-1)),
  )
}

function Places({ again, data, error }: ReturnType<typeof useAnswer<'find'>>): ComponentChild {
  if (error !== undefined && error.status !== 400) {
    return h(ErrorNotice, { error, again })
  }
  if (error !== undefined || data?.places.length === 0) {
    return h(
      Notice,
      { title: 'Nothing here has this digest or CID' },
      h(
        'p',
        {},
        'Other nodes may have it. To pull an image from them, use its CID as the name: ',
        h('code', {}, `docker pull ${location.host}/<CID>`),
      ),
    )
  }
  return h(
    'ul',
    { class: 'rows', 'aria-label': 'Where it is' },
    data?.places.map(place => h(PlaceRow, { key: `${place.repository} ${place.digest}`, place })),
  )
}

function PlaceRow({ place: { digest, repository, tags } }: { place: Place }): ComponentChild {
  return h(
    'li',
    { class: 'row' },
    h('div', { class: 'row-name' }, h(RepositoryName, { name: repository })),
    h(
      'div',
      { class: 'row-facts quiet' },
      digest === undefined
        ? 'A layer or another part of its images'
        : [
            h('a', { key: 'digest', href: linkTo(repository, digest) }, h('code', {}, shortDigest(digest))),
            ...tags.map(tag => h('a', { class: 'tag', key: tag, href: linkTo(repository, tag) }, tag)),
          ],
    ),
  )
}
