import { signal } from '@preact/signals'
import type { Session } from './answers.ts'
import { ask, generation } from './api.ts'

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
  await fetch('auth/logout', { method: 'POST' })
  await loadSession()
  generation.value++
}
