import { h, type ComponentChild } from 'preact'
import { session } from '../session.ts'

/** The ways to log in here, which lead back to where somebody is */
export function LogInLinks(): ComponentChild {
  const ways = session.value?.logIn ?? []
  if (ways.length === 0) {
    return null
  }
  return h(
    'p',
    { class: 'actions' },
    ways.map(({ issuer, path }) =>
      h(
        'a',
        { class: 'button', key: path, href: wayBack(path, issuer) },
        issuer === undefined ? 'Log in with a password' : `Log in with ${issuer}`,
      ),
    ),
  )
}

function wayBack(path: string, issuer: string | undefined): string {
  const here = location.hash.slice(1)
  // a provider leads to a path, the password to a page
  return issuer === undefined
    ? `${path.slice(1)}?to=${encodeURIComponent(here)}`
    : `${path.slice(1)}&to=${encodeURIComponent(`${location.pathname}#${here}`)}`
}
