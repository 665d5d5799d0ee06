import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Response } from 'express'
import { writeBody } from '../../../../src/http/bodies/streamed-body.ts'

describe('a chunk of a response', () => {
  it('stays until Node lets go of it, though the client is gone', async () => {
    const gone = new AbortController()
    const events: string[] = []
    let letGo: ((err: Error) => void) | undefined
    const res = {
      write: (_: Uint8Array, done: (err: Error) => void) => {
        letGo = done
      },
      destroy: () => events.push('destroyed'),
    } as unknown as Response
    const source = async function* () {
      try {
        yield Buffer.from('a')
      } finally {
        events.push('released')
      }
    }
    const written = assert.rejects(writeBody(res, source(), gone.signal), { name: 'AbortError' })
    await setImmediate()
    gone.abort()
    await setImmediate()
    assert.deepEqual(events, ['destroyed'])
    letGo!(new Error('cancelled'))
    await written
    assert.deepEqual(events, ['destroyed', 'released'])
  })
})
