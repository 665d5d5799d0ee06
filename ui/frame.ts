import { h, type ComponentChild } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { announcement } from './parts/copy.ts'
import { LogInLinks } from './parts/log-in.ts'
import { Notice } from './parts/notice.ts'
import { adminToken, generation } from './credentials.ts'
import { hasImages, linkTo, linkToSection, route, type Route } from './router.ts'
import { sections, type PageType } from './sections.ts'
import { loadSession, logOut, session } from './session.ts'
import { ImagesPage } from './pages/images.ts'

/** Pages beside the first are loaded when somebody opens one */
const repositoryPage = async (): Promise<PageType> => (await import('./pages/repository.ts')).RepositoryPage
const imagePage = async (): Promise<PageType> => (await import('./pages/image.ts')).ImagePage

/** What is around every page: where one is, who one is, and the page itself */
export function Frame(): ComponentChild {
  useEffect(() => {
    void loadSession()
  }, [generation.value])
  return h(
    'div',
    { class: 'frame' },
    h('a', { class: 'skip', href: '#main', onClick: skip }, 'Skip to the content'),
    h(
      'header',
      { class: 'top' },
      h('a', { class: 'brand', href: linkTo() }, h(Mark, {}), 'IPDR'),
      h(Navigation, {}),
      h(Account, {}),
    ),
    h('main', { id: 'main', tabIndex: -1 }, h(Page, { route: route.value })),
    h('div', { class: 'offscreen', role: 'status', 'aria-live': 'polite' }, announcement.value),
  )
}

/** The pages that are for whoever looks */
function Navigation(): ComponentChild {
  const current = sections.find(({ name }) => name === route.value.section)?.name ?? ''
  const shown = sections.filter(({ isFor }) => session.value !== undefined && isFor(session.value))
  const link = (name: string, title: string): ComponentChild =>
    h(
      'a',
      {
        key: name,
        href: name === '' ? linkTo() : linkToSection(name),
        'aria-current': name === current ? 'page' : undefined,
      },
      title,
    )
  return h(
    'nav',
    { 'aria-label': 'Pages' },
    hasImages && link('', 'Images'),
    ...shown.map(({ name, title }) => link(name, title)),
  )
}

function loaderOf({ reference, repository, section }: Route): (() => Promise<PageType>) | undefined {
  if (section !== '') {
    return sections.find(({ name }) => name === section)?.load
  }
  return repository === '' ? undefined : reference === '' ? repositoryPage : imagePage
}

function titleOf({ reference, repository, section }: Route): string {
  const ofSection = sections.find(({ name }) => name === section)?.title
  return ofSection ?? `${repository}${reference === '' ? '' : `${reference.includes(':') ? '@' : ':'}${reference}`}`
}

function Page({ route }: { route: Route }): ComponentChild {
  const { reference, repository, section } = route
  const load = loaderOf(route)
  const [loaded, setLoaded] = useState<{ load: typeof load; page: PageType | undefined }>()
  useEffect(() => {
    load?.().then(
      page => {
        setLoaded({ load, page })
      },
      () => {
        setLoaded({ load, page: undefined })
      },
    )
  }, [load])
  useEffect(() => {
    document.title = [titleOf(route), 'IPDR'].filter(text => text !== '').join(' – ')
    scrollTo(0, 0)
  }, [section, repository, reference])
  if (load === undefined) {
    return h(ImagesPage, { route })
  }
  if (loaded?.load !== load) {
    return null
  }
  return loaded.page === undefined
    ? h(Outdated, {})
    : h(loaded.page, { route, key: `${section} ${repository} ${reference}` })
}

/** The server has files of another version now, or does not answer */
function Outdated(): ComponentChild {
  return h(
    Notice,
    { title: 'This page could not be loaded' },
    h('p', {}, 'The registry may have been updated since you opened it, or it does not answer.'),
    h('p', {}, h('button', { type: 'button', onClick: () => location.reload() }, 'Load it again')),
  )
}

function Account(): ComponentChild {
  const {
    adminAddress,
    logIn = [],
    mayAdminister = false,
    mayLogOut = false,
    name,
    takesToken = false,
  } = session.value ?? {}
  const isByToken = mayAdminister && adminToken.value !== undefined
  if (name !== undefined || isByToken) {
    return h(
      'div',
      { class: 'account' },
      h('span', { class: 'quiet' }, 'Logged in as ', isByToken ? 'administrator' : h('bdi', {}, name)),
      (mayLogOut || isByToken) && h('button', { type: 'button', onClick: () => void logOut() }, 'Log out'),
    )
  }
  if (logIn.length > 0) {
    return h('div', { class: 'account' }, h(LogInLinks, {}))
  }
  // the page itself says how
  return hasImages && (takesToken || adminAddress !== undefined) && route.value.section === ''
    ? h('div', { class: 'account' }, h('a', { class: 'button', href: linkToSection('network') }, 'Administration'))
    : null
}

function Mark(): ComponentChild {
  return h(
    'svg',
    { viewBox: '0 0 32 32', width: 26, height: 26, 'aria-hidden': 'true' },
    h('path', { class: 'mark', d: 'M16 1.5 28.5 8.7v14.6L16 30.5 3.5 23.3V8.7z' }),
    h('path', { class: 'mark-lines', d: 'm9 12.2 7-4 7 4v8l-7 4-7-4zm0 0 7 4 7-4M16 16.2v8' }),
  )
}

/** The fragment of the address says which page it is, so a link can't lead to a place on the page */
function skip(event: Event): void {
  event.preventDefault()
  document.getElementById('main')?.focus()
}
