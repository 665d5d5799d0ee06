import { signal } from '@preact/signals'

/** Of this registry: others may be below other paths of the same host */
const storageName = `admin token of ${location.pathname}`

/**
 * The admin token, for as long as this tab is open: it goes into no address, no cookie and no file. No page but those
 * of this server can read it.
 */
export const adminToken = signal(kept())

/** Whether the server took the admin token before, and does so no more */
export const isTokenRefused = signal(false)

/** Goes up when what is shown may be another's: after somebody has logged in or out */
export const generation = signal(0)

/** @param token undefined: forgets it */
export function keepToken(token: string | undefined): void {
  isTokenRefused.value = false
  adminToken.value = token
  generation.value++
  try {
    token === undefined ? sessionStorage.removeItem(storageName) : sessionStorage.setItem(storageName, token)
  } catch {
    // the browser keeps nothing for pages, so the token lasts until this one is loaded again
  }
}

/** A request to the API of the pages with the admin token, where there is one */
export async function fetchWithToken(path: string, init: RequestInit = {}): Promise<Response> {
  const token = adminToken.value
  if (token === undefined) {
    return await fetch(path, init)
  }
  const headers = new Headers(init.headers)
  headers.set('Authorization', `Bearer ${token}`)
  const response = await fetch(path, { ...init, headers })
  if (response.status === 401 && token === adminToken.value) {
    keepToken(undefined)
    isTokenRefused.value = true
  }
  return response
}

function kept(): string | undefined {
  try {
    return sessionStorage.getItem(storageName) ?? undefined
  } catch {
    return undefined
  }
}
