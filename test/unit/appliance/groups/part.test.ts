import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { part, RunningParts, store, type Part } from '../../../../src/appliance/groups/part.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'

/** Notes what happens to it */
function noted(name: string, calls: string[]): Part {
  return part(name, {
    start: async () => {
      calls.push(`start ${name}`)
    },
    stop: async () => {
      calls.push(`stop ${name}`)
    },
  })
}

describe('parts', () => {
  it('stop in the reverse of the order in which they started, once', async () => {
    const calls: string[] = []
    const running = new RunningParts({ log: recordingLog() }, { stopTimeout: 1000 })
    for (const name of ['a', 'b']) {
      await running.start(noted(name, calls))
    }
    await running.stop()
    await running.stop()
    assert.deepEqual(calls, ['start a', 'start b', 'stop b', 'stop a'])
  })

  it('that did not start are not stopped', async () => {
    const calls: string[] = []
    const running = new RunningParts({ log: recordingLog() }, { stopTimeout: 1000 })
    const failing = part('b', { ...noted('b', calls), start: async () => Promise.reject(new Error('no')) })
    await running.start(noted('a', calls))
    await assert.rejects(running.start(failing), { message: 'no' })
    await running.stop()
    assert.deepEqual(calls, ['start a', 'stop a'])
  })

  it('that fail to stop, or take too long, do not keep the others from it', async () => {
    const calls: string[] = []
    const log = recordingLog()
    const running = new RunningParts({ log }, { stopTimeout: 20 })
    await running.start(noted('first', calls))
    await running.start(part('failing', { stop: async () => Promise.reject(new Error('no')) }))
    await running.start(part('endless', { stop: async () => new Promise(() => {}) }))
    await running.stop()
    assert.deepEqual(calls, ['start first', 'stop first'])
    const errors = log.lines.filter(({ level }) => level === 'error')
    assert.deepEqual(
      errors.map(({ message, fields }) => [message, fields?.['part']]),
      [
        ['a part did not stop', 'endless'],
        ['a part did not stop', 'failing'],
      ],
    )
  })

  it('are what is opened and closed, too', async () => {
    const calls: string[] = []
    const { start, stop } = store('a', { open: () => calls.push('open'), close: () => calls.push('close') })
    await start()
    await stop()
    assert.deepEqual(calls, ['open', 'close'])
  })
})
