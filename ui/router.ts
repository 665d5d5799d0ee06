import { signal } from '@preact/signals'

/** Where somebody is, which is the fragment of the address: it works at any path that a proxy gives these pages */
export interface Route {
  /** What is looked at; empty for the list of all repositories */
  repository: string
  /** Tag or digest; empty for the repository as a whole */
  reference: string
  /** `q`, `in` and `from` */
  query: URLSearchParams
}

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

/** Changes where somebody is without a step in the history, as when a search is typed */
export function replaceRoute(link: string): void {
  history.replaceState(null, '', link)
  route.value = readRoute()
}

function readRoute(): Route {
  const [path = '', query = ''] = decoded(location.hash.replace(/^#\/?/, '')).split('?', 2)
  const [, repository = '', reference = ''] = /^([^:@]*)(?:[:@](.*))?$/s.exec(path) ?? []
  return { repository, reference, query: new URLSearchParams(query) }
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
