import { signal } from '@preact/signals'

/** Where somebody is, which is the fragment of the address: it works at any path that a proxy gives these pages */
export interface Route {
  /** The name of a page that is not about images (sections.ts); empty for those that are */
  section: string
  /** What is looked at; empty for the list of all repositories */
  repository: string
  /** Tag or digest; empty for the repository as a whole */
  reference: string
  /** `q`, `in` and `from` */
  query: URLSearchParams
}

/** Whether there are pages of images: the port of the administration has none */
export const hasImages = document.documentElement.dataset['pages'] !== 'administration'

export const route = signal(readRoute())

addEventListener('hashchange', () => {
  route.value = readRoute()
})

/** The address of a page */
export function linkTo(repository = '', reference = '', query: Record<string, string | number> = {}): string {
  const separator = reference === '' ? '' : reference.includes(':') ? '@' : ':'
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== '' && value !== 0) {
      params.set(name, String(value))
    }
  }
  const text = params.toString()
  return `#/${repository}${separator}${reference}${text === '' ? '' : `?${text}`}`
}

/** The address of a page that is not about images; no repository has such a name */
export function linkToSection(name: string): string {
  return `#/-/${name}`
}

/** Changes where somebody is without a step in the history, as when a search is typed */
export function replaceRoute(link: string): void {
  history.replaceState(null, '', link)
  route.value = readRoute()
}

function readRoute(): Route {
  const [path = '', query = ''] = decoded(location.hash.replace(/^#\/?/, '')).split('?', 2)
  const section = /^-\/(\w+)$/.exec(path)?.[1] ?? (hasImages ? '' : 'network')
  const [, repository = '', reference = ''] = (section === '' && /^([^:@]*)(?:[:@](.*))?$/s.exec(path)) || []
  return { section, repository, reference, query: new URLSearchParams(query) }
}

/** Some programs encode the colon of a link */
function decoded(text: string): string {
  const [path = '', ...query] = text.split('?')
  try {
    return [decodeURIComponent(path), ...query].join('?')
  } catch {
    // somebody typed a percent sign
    return text
  }
}
