import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ReadOnlyMode } from '../../../../src/registry/policies/read-only-mode.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { readOnlyMode } from '../../../fixtures/read-only.ts'

function stored(read: () => Promise<string | undefined>, always = false): ReadOnlyMode {
  const fail = async (): Promise<void> => {
    throw Object.assign(new Error('secret path'), { code: 'ENOSPC' })
  }
  return new ReadOnlyMode({ store: { read, write: fail, remove: fail }, log: recordingLog() }, { always })
}

describe('the read-only mode', () => {
  it('waits for writes that are under way', async () => {
    const mode = readOnlyMode()
    const writes = [mode.begin(), mode.begin()]
    const turnedOn = mode.turnOn()
    let isOver = false
    void turnedOn.then(() => {
      isOver = true
    })
    await new Promise(resolve => setTimeout(resolve, 20))
    assert.throws(() => mode.begin(), { code: 'UNSUPPORTED' })
    assert.equal(isOver, false)
    writes.forEach(write => {
      write[Symbol.dispose]()
      write[Symbol.dispose]()
    })
    assert.equal(await turnedOn, 0)
  })

  it('does not wait for ever, and says how many have not ended', async () => {
    const mode = readOnlyMode(recordingLog(), { settle: 10 })
    using _write = mode.begin()
    assert.equal(await mode.turnOn(), 1)
  })

  it('breaks off what has a signal, each time', async () => {
    const mode = readOnlyMode()
    for (let i = 0; i < 2; i++) {
      const { signal } = mode
      assert.equal(signal.aborted, false)
      await mode.turnOn('maintenance')
      assert.equal((signal.reason as Error).message, 'the registry is read-only: maintenance')
      await mode.turnOff()
      mode.requireWritable()
    }
  })

  it('is on after a restart, whatever its file holds', async () => {
    for (const text of ['{"since":"2026-01-01T00:00:00.000Z","reason":"x"}', '', 'null', '{"since":1}']) {
      const mode = stored(async () => text)
      await mode.start()
      assert.throws(() => mode.requireWritable(), { code: 'UNSUPPORTED' }, text)
    }
    const off = stored(async () => undefined)
    await off.start()
    off.requireWritable()
    const always = stored(async () => undefined, true)
    await always.start()
    assert.throws(() => always.requireWritable(), { code: 'UNSUPPORTED' })
  })

  it('stays as it was where it can not be saved', async () => {
    const mode = stored(async () => undefined)
    await assert.rejects(mode.turnOn(), { code: 'UNAVAILABLE', detail: { reason: "the mode can't be saved: ENOSPC" } })
    mode.requireWritable()
  })

  it('takes a reason of one short line', async () => {
    const mode = readOnlyMode()
    for (const reason of ['a\nb', 'x'.repeat(201)]) {
      await assert.rejects(mode.turnOn(reason), { code: 'REQUEST_INVALID' })
    }
    mode.requireWritable()
  })
})
