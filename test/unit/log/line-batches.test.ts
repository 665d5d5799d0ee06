import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, it } from 'node:test'
import { LineBatches } from '../../../src/log/line-batches.ts'

function batches(): { lines: LineBatches; written: string[] } {
  const written: string[] = []
  const write = (text: string): boolean => written.push(text) > 0
  return { lines: new LineBatches({ write }), written }
}

describe('lines', () => {
  it('of one turn of the event loop are written together at its end', async () => {
    const { lines, written } = batches()
    lines.write('a\n', { urgent: false })
    lines.write('b\n', { urgent: false })
    assert.deepEqual(written, [])
    await turn()
    lines.write('c\n', { urgent: false })
    await turn()
    await turn()
    assert.deepEqual(written, ['a\nb\n', 'c\n'])
  })

  it('that are urgent are written at once, after those before them', async () => {
    const { lines, written } = batches()
    lines.write('a\n', { urgent: false })
    lines.write('b\n', { urgent: true })
    assert.deepEqual(written, ['a\nb\n'])
    await turn()
    assert.equal(written.length, 1)
  })

  it('do not wait where there are many', () => {
    const { lines, written } = batches()
    for (let i = 0; i < 3; i++) {
      lines.write(`${'x'.repeat(30_000)}\n`, { urgent: false })
    }
    assert.equal(written.length, 1)
  })
})

describe('a process that ends', () => {
  for (const [how, code] of [
    ['by process.exit', 'process.exit(1)'],
    ['by an exception that nobody catches', 'throw new Error("no")'],
    ['by itself', ''],
  ] as const) {
    it(`${how} has written all its lines`, () => {
      const log = JSON.stringify(join(import.meta.dirname, '../../../src/log.ts'))
      const program = `
        import { createLog } from ${log}
        const log = createLog({ level: 'info', format: 'human' })
        log.info('one')
        log.info('two')
        ${code}`
      const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' })
      assert.match(stderr, /info {2}one\n.*info {2}two\n/)
    })
  }
})
