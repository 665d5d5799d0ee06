import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { readAhead, type Chunk, type ReadAheadInit } from '../../../../src/ipfs/content/read-ahead.ts'

type Item = () => Promise<Chunk> | Chunk

function start(
  items: () => AsyncGenerator<Item>,
  init: Partial<ReadAheadInit<Item>> = {},
): ReturnType<typeof readAhead> {
  return readAhead<Item>({ items, read: async item => await item(), ahead: 4, ...init })
}

const chunk = (byte: number): Chunk => ({ bytes: Uint8Array.of(byte) })

describe('chunks that are read ahead', () => {
  it('come in order, whichever is ready first', async () => {
    const chunks = start(
      async function* () {
        for (const ms of [20, 1, 10, 0, 5]) {
          yield async () => await sleep(ms, chunk(ms))
        }
      },
      { ahead: 3 },
    )
    assert.deepEqual((await Array.fromAsync(chunks)).map(String), ['20', '1', '10', '0', '5'])
  })

  it('are held up by the consumer', async () => {
    for (const ahead of [1, 3, 4, 16]) {
      let started = 0
      const chunks = start(
        async function* () {
          for (let i = 0; i < 100; i++) {
            yield () => chunk(++started)
          }
        },
        { ahead },
      )
      for (let taken = 1; taken <= 20; taken++) {
        await chunks.next()
        await sleep(1)
        // twice as many with each chunk, up to the limit
        assert.equal(started - taken, Math.min(ahead, 2 ** (taken - 1)), `${ahead} ahead, ${taken} taken`)
      }
      const before = started
      await chunks.return(undefined)
      await sleep(1)
      assert.equal(started, before, 'nothing is read once nobody takes it')
    }
  })

  it('are released once the next one is asked for, and the last one at the end', async () => {
    const released: number[] = []
    const chunks = start(async function* () {
      for (const byte of [1, 2, 3]) {
        yield () => ({ ...chunk(byte), release: () => released.push(byte) })
      }
    })
    const seen: string[] = []
    for await (const bytes of chunks) {
      seen.push(`${bytes} after ${released}`)
    }
    assert.deepEqual(seen, ['1 after ', '2 after 1', '3 after 1,2'])
    assert.deepEqual(released, [1, 2, 3])
  })

  it('are released where the consumer stops: the one that it has, and those that are still being read', async () => {
    const released: number[] = []
    const slow = Promise.withResolvers<void>()
    const chunks = start(async function* () {
      for (const byte of [1, 2, 3, 4, 5]) {
        yield async () => {
          await (byte === 3 ? slow.promise : undefined)
          return { ...chunk(byte), release: () => released.push(byte) }
        }
      }
    })
    await chunks.next()
    await chunks.next()
    await chunks.return(undefined)
    await setImmediate()
    assert.deepEqual(released, [1, 2, 4])
    slow.resolve()
    await setImmediate()
    assert.deepEqual(released, [1, 2, 4, 3])
  })

  it('fail in their turn, and unseen where nobody takes them', async () => {
    const chunks = start(async function* () {
      yield () => chunk(1)
      yield () => {
        throw new Error('second')
      }
      yield () => {
        throw new Error('third')
      }
    })
    assert.deepEqual((await chunks.next()).value, Uint8Array.of(1))
    await assert.rejects(chunks.next(), { message: 'second' })
    await setImmediate()
  })

  const endings: Record<string, (chunks: ReturnType<typeof start>) => Promise<void>> = {
    'an error': async chunks => {
      await chunks.next()
      await assert.rejects(chunks.next(), { message: 'no more' })
    },
    'a consumer that stops': async chunks => {
      await chunks.next()
      await chunks.return(undefined)
    },
  }
  for (const [name, end] of Object.entries(endings)) {
    it(`tell of the end once, after ${name}`, async () => {
      let ends = 0
      const chunks = start(
        async function* () {
          yield () => chunk(1)
          yield () => chunk(2)
          throw new Error('no more')
        },
        { ahead: 1, onEnd: () => ends++ },
      )
      assert.equal(ends, 0)
      await end(chunks)
      assert.equal(ends, 1)
    })
  }
})
