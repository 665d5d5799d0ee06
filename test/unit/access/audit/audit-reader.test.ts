import assert from 'node:assert/strict'
import { appendFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { AuditReader, type AuditPart } from '../../../../src/access/audit/audit-reader.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const { signal } = new AbortController()
const line = (number: number, outcome = 'allowed'): string =>
  `${JSON.stringify({ time: '2026-11-30T00:00:00Z', action: `a${number}`, outcome, fill: 'x'.repeat(200) })}\n`
const numbers = (from: number, to: number): string[] => Array.from({ length: from - to + 1 }, (_, i) => `a${from - i}`)
const actions = ({ entries }: AuditPart): string[] => entries.map(({ action }) => action)

describe('the reader of the audit log', () => {
  it('reads it from its end, over all files, part by part, each line once', async () => {
    await using directory = await temporaryDirectory('audit-reader')
    const path = join(directory.path, 'audit.log')
    const text = (from: number, to: number): string =>
      numbers(to - 1, from)
        .reverse()
        .map(name => line(Number(name.slice(1))))
        .join('')
    await writeFile(`${path}.1`, text(0, 500))
    await writeFile(path, text(500, 1000))
    const reader = new AuditReader({ path, files: 2 })
    const question = { limit: 300, matches: () => true, signal }
    const first = await reader.read(question)
    assert.deepEqual(actions(first), numbers(999, 700))
    await appendFile(path, line(1000))
    // it becomes an old file while somebody reads on
    await rename(`${path}.1`, `${path}.2`)
    await rename(path, `${path}.1`)
    await writeFile(path, line(1001))
    const second = await reader.read({ ...question, before: first.next })
    const third = await reader.read({ ...question, before: second.next })
    const last = await reader.read({ ...question, before: third.next })
    assert.deepEqual([second, third, last].flatMap(actions), numbers(699, 0))
    assert.equal(last.next, undefined)
    assert.deepEqual(await reader.read({ ...question, before: '1-5' }), { entries: [] })
  })

  it('leaves out what does not match and what is no line of it, also where there is no file', async () => {
    await using directory = await temporaryDirectory('audit-reader')
    const path = join(directory.path, 'audit.log')
    const reader = new AuditReader({ path, files: 1 })
    const question = { limit: 10, matches: ({ outcome }: { outcome: string }) => outcome === 'failed', signal }
    assert.deepEqual(await reader.read(question), { entries: [] })
    await writeFile(path, `${line(1)}${line(2, 'failed')}\n{"time":1}\nnull\n[]\nnonsense\n{"half":`)
    assert.deepEqual(actions(await reader.read(question)), ['a2'])
  })
})
