import { isName } from '../../oci/reference.ts'
import { actions, type Action } from './actions.ts'

/** What a token is for; of `registry:catalog:*`, the catalog */
export interface Scope {
  type: 'repository' | 'registry'
  name: string
  actions: readonly Action[]
}

const maxScopes = 100
/** As docker calls them; docker has no word for moving a tag, which comes with a push for it */
const meanings: Record<string, readonly Action[]> = {
  pull: ['pull'],
  push: ['push', 'tag'],
  delete: ['delete'],
  '*': actions,
}

/**
 * What `scope` asks for, several times or separated by blanks: `repository:team/app:pull,push`. Unknown kinds and
 * actions ask for nothing.
 *
 * @see https://distribution.github.io/distribution/spec/auth/scope/
 */
export function parseScopes(values: readonly string[]): Scope[] {
  return values
    .flatMap(value => value.split(' '))
    .filter(text => text !== '')
    .slice(0, maxScopes)
    .flatMap(text => parseScope(text) ?? [])
}

function parseScope(text: string): Scope | undefined {
  // a name may have a colon before a port, so the type ends at the first colon and the name at the last one
  const [, kind, name = '', list = ''] = /^([a-z]+(?:\([a-z]+\))?):(.*):([a-z,*]*)$/.exec(text) ?? []
  const type = kind?.replace(/\(.*\)$/, '')
  if ((type !== 'repository' || !isName(name)) && (type !== 'registry' || name !== 'catalog')) {
    return undefined
  }
  return { type, name, actions: [...new Set(list.split(',').flatMap(action => meanings[action] ?? []))] }
}

/** The scope that a challenge names for an action */
export function scopeText(action: Action, repository: string): string {
  const names = { pull: 'pull', push: 'pull,push', tag: 'pull,push', delete: 'delete', admin: '*' }
  return `repository:${repository}:${names[action]}`
}

/** The actions of a scope in docker's words */
export function dockerActions(allowed: readonly Action[]): string[] {
  return ['pull', 'push', 'delete'].filter(name => allowed.includes(name as Action))
}
