import { h, type ComponentChild } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import type { AuditEntry } from '../../answers.ts'
import { ask, type ApiError } from '../../api.ts'
import { AdministratorNotice } from '../../parts/administrators.ts'
import { DataTable, type TableRow } from '../../parts/data-table.ts'
import { Search } from '../../parts/search.ts'
import { count, plain, shortDigest } from '../../parts/texts.ts'
import { Time } from '../../parts/time.ts'
import { replaceRoute } from '../../router.ts'
import { linkToView, type ViewProps } from './list.ts'

const limit = 50
const outcomes = ['', 'allowed', 'denied', 'failed', 'changed'] as const
const columns = ['When', 'Who', 'What', 'Outcome', 'Where', 'Rule', 'From'] as const

/** The audit log, newest first */
export function AuditView({ query, summary: { hasAuditLog } }: ViewProps): ComponentChild {
  const search = query.get('q') ?? ''
  const outcome = query.get('outcome') ?? ''
  if (!hasAuditLog) {
    return h(
      'p',
      {},
      'There is no audit log. ',
      h('code', {}, 'access.auditLog: ./data/audit.log'),
      ' in the configuration has the server write one.',
    )
  }
  return [
    h(
      'div',
      { class: 'tools', key: 'tools' },
      h(Search, {
        label: 'Search the audit log',
        placeholder: 'Search by user, repository, address…',
        value: search,
        onSearch: text => {
          replaceRoute(linkToView('audit', { q: text, outcome }))
        },
      }),
      h(
        'label',
        { class: 'quiet' },
        'Outcome ',
        h(
          'select',
          {
            value: outcome,
            onChange: (event: Event) => {
              replaceRoute(
                linkToView('audit', { q: search, outcome: (event.currentTarget as HTMLSelectElement).value }),
              )
            },
          },
          outcomes.map(value => h('option', { key: value, value }, value === '' ? 'any' : value)),
        ),
      ),
    ),
    h(Entries, { key: `${search} ${outcome}`, search, outcome }),
  ]
}

/** More and more of them, as somebody asks for older ones */
function Entries({ outcome, search }: { search: string; outcome: string }): ComponentChild {
  const [{ entries, next, isDone }, setShown] = useState<{ entries: AuditEntry[]; next?: string; isDone: boolean }>({
    entries: [],
    isDone: false,
  })
  const [error, setError] = useState<ApiError | undefined>()
  const [before, setBefore] = useState<string | undefined>()
  useEffect(() => {
    const controller = new AbortController()
    const question = { q: search, outcome, n: limit, ...(before === undefined ? {} : { before }) }
    ask('access/audit', question, controller.signal).then(
      part => {
        setShown(shown => ({ entries: [...shown.entries, ...part.entries], next: part.next, isDone: true }))
        setError(undefined)
      },
      (err: ApiError) => {
        if (!controller.signal.aborted) {
          setError(err)
        }
      },
    )
    return () => {
      controller.abort()
    }
  }, [before])
  if (error !== undefined) {
    return h(AdministratorNotice, { error, again: () => location.reload() })
  }
  if (!isDone) {
    return h('p', { class: 'quiet waiting' }, 'Loading…')
  }
  return [
    h('p', { class: 'quiet', role: 'status', key: 'count' }, count(entries.length, 'entry', 'entries')),
    entries.length > 0 && h(DataTable, { key: 'table', label: 'The audit log', columns, rows: entries.map(rowOf) }),
    next !== undefined &&
      h(
        'p',
        { key: 'older' },
        h('button', { type: 'button', onClick: () => setBefore(next) }, 'Look for older entries'),
      ),
  ]
}

function rowOf(entry: AuditEntry, i: number): TableRow {
  const { action, address, kind, outcome, reason, rule, time, who } = entry
  return {
    key: `${i}`,
    cells: [
      h(Time, { at: time }),
      h('bdi', {}, plain(who ?? (kind === 'unknown' ? 'an unknown name' : '–'))),
      action,
      outcome,
      h('bdi', {}, plain(whereOf(entry))),
      h('bdi', {}, plain(rule ?? reason ?? '–')),
      address ?? '–',
    ],
  }
}

function whereOf({ added, digest, path, reference, removed, replaced, repository }: AuditEntry): string {
  if (repository !== undefined) {
    const short = digest === undefined ? '' : `@${shortDigest(digest)}`
    return `${repository}${reference === undefined || reference.includes(':') ? short : `:${reference}`}`
  }
  const changed = Object.entries({ added, removed, replaced }).flatMap(([what, names]) =>
    names === undefined || names.length === 0 ? [] : [`${what} ${names.join(', ')}`],
  )
  return changed.length > 0 ? changed.join('; ') : (path ?? '–')
}
