import type { AccessState } from './access-files.ts'
import type { AuditRecord } from '../audit/audit-log.ts'

const maxNamed = 100

/** What is different about the rules, users and keys that were read; never a hash of a password or key */
export function changesOf(before: AccessState | undefined, after: AccessState | undefined): AuditRecord[] {
  const users = difference(before?.passwords ?? new Map(), after?.passwords ?? new Map())
  const keys = difference(hashes(before), hashes(after))
  return [
    ...(before?.digest === after?.digest ? [] : [changed('rules', { digest: after?.digest })]),
    ...(users === undefined ? [] : [changed('users', users)]),
    ...(keys === undefined ? [] : [changed('keys', keys)]),
  ]
}

function changed(action: string, more: Record<string, string | string[] | undefined>): AuditRecord {
  return { action, outcome: 'changed', ...more }
}

function hashes(state: AccessState | undefined): Map<string, string> {
  return new Map(state?.keys.all.map(({ name, hash }) => [name, hash]) ?? [])
}

/** Names that came, went, or have another hash; undefined where all is as before */
function difference(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): Record<'added' | 'removed' | 'replaced', string[]> | undefined {
  const added = [...after.keys()].filter(name => !before.has(name))
  const removed = [...before.keys()].filter(name => !after.has(name))
  const replaced = [...after].flatMap(([name, hash]) => (before.has(name) && before.get(name) !== hash ? name : []))
  const all = { added, removed, replaced }
  return Object.values(all).every(names => names.length === 0)
    ? undefined
    : { added: added.slice(0, maxNamed), removed: removed.slice(0, maxNamed), replaced: replaced.slice(0, maxNamed) }
}
