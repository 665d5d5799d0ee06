import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { printableContext } from '../../../../src/cli/output/printable.ts'
import { progressText, showProgress } from '../../../../src/cli/output/progress.ts'
import { withProgress } from '../../../../src/cli/output/results.ts'
import { fakeContext } from '../fake-context.ts'

const MiB = 1024 * 1024

describe('the text of progress', () => {
  it('has what is known of bytes, rate, source and the time that is left', () => {
    const state = { text: 'storing blocks', bytes: 30 * MiB, total: 120 * MiB, source: 'docker.io' }
    assert.equal(
      progressText(state, MiB),
      'storing blocks, 25 % of 120.0 MiB, 1.0 MiB/s, from docker.io, 1 min 30 s left',
    )
    assert.equal(
      progressText({ ...state, source: undefined, total: undefined }, MiB),
      'storing blocks, 30.0 MiB, 1.0 MiB/s',
    )
    assert.equal(progressText({ text: 'a', bytes: 5, total: 10 }, 0), 'a, 50 % of 10 B')
    assert.equal(progressText({ text: 'a', left: 7260 }, 0), 'a, 2 h 1 min left')
    assert.equal(progressText({ text: 'reading the index' }, 0), 'reading the index')
  })

  it('has what is counted instead of bytes', () => {
    const items = { done: 30, total: 120, name: 'blocks' }
    assert.equal(progressText({ text: 'looking', items }, 2.5), 'looking, 25 % of 120 blocks, 2.5 blocks/s, 36 s left')
    assert.equal(progressText({ text: 'looking', items: { done: 30, name: 'roots' } }, 1000), 'looking, 1000 roots/s')
    // a total may be an estimate
    assert.equal(progressText({ text: 'looking', items: { ...items, done: 130 } }, 0), 'looking, 100 % of 120 blocks')
  })
})

describe('progress', () => {
  it('is one line of a terminal that is written anew, as wide as that, and gone at the end', async () => {
    const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 40 })
    const context = printableContext({ ...fakeContext(), stderr })
    const result = await withProgress(
      context,
      {},
      (bytes: number) => ({ text: 'evil\u001b[2J'.padEnd(100, '.'), bytes, total: 100 * MiB }),
      async onProgress => {
        onProgress(0)
        onProgress(MiB)
        await sleep(250)
        onProgress(2 * MiB)
        return 'done'
      },
    )
    const lines = String(stderr.read()).split('\r\u001b[K')
    assert.equal(result, 'done')
    assert.deepEqual(
      lines.map(text => text.length),
      [0, 39, 39, 0],
    )
    assert.match(lines[1]!, /^evil\\u001b\[2J\.+$/)
  })

  it('is a line now and then elsewhere, and nothing with --json or where it is short', async () => {
    const context = fakeContext()
    using shown = showProgress(context, { silent: false })
    shown.show({ text: 'first' })
    shown.show({ text: 'second' })
    shown.show({ text: 'another', step: 'index' })
    assert.equal(context.stderr.text, 'first\nanother\n')
    using short = showProgress(context, { silent: false, quietFor: 10_000 })
    short.show({ text: 'third' })
    await withProgress(
      context,
      { json: true },
      (text: string) => ({ text }),
      async onProgress => {
        onProgress('fourth')
      },
    )
    assert.equal(context.stderr.text, 'first\nanother\n')
  })
})
