import { signal } from '@preact/signals'
import type { Session } from './answers.ts'
import { ask } from './api.ts'
import { adminToken, generation, keepToken } from './credentials.ts'

/** Who looks; undefined until that is known */
export const session = signal<Session | undefined>(undefined)

export async function loadSession(): Promise<void> {
  try {
    session.value = await ask('session')
  } catch {
    // the page itself tells that the registry does not answer
  }
}

export async function logOut(): Promise<void> {
  if (adminToken.value !== undefined) {
    keepToken(undefined)
    return
  }
  await fetch('auth/logout', { method: 'POST' })
  generation.value++
}
