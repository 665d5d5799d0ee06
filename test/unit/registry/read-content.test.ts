import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ReadFileOptions } from '../../../src/ipfs/content-store.ts'
import { readContent, type ReadContentOptions } from '../../../src/registry/read-content.ts'
import { sha256 } from '../../fixtures/images.ts'

const bytes = Buffer.from('some bytes of a blob')

/** Reads `held` as the content of a file of `bytes.byteLength` bytes, in chunks of 7 */
async function read(
  options: ReadContentOptions,
  held: Uint8Array = bytes,
  size = bytes.byteLength,
): Promise<{ got: string; err: unknown }> {
  const content = {
    async *read(_cid: string, { start = 0, end = held.byteLength - 1 }: ReadFileOptions = {}) {
      for (let i = start; i <= end; i += 7) {
        yield held.subarray(i, Math.min(i + 7, end + 1))
      }
    },
  }
  let got = ''
  try {
    for await (const chunk of readContent(content, { cid: 'cid', size }, options)) {
      got += Buffer.from(chunk).toString()
    }
    return { got, err: undefined }
  } catch (err) {
    return { got, err }
  }
}

function verify(digest = sha256(bytes)): { verify: NonNullable<ReadContentOptions['verify']>; matches: number[] } {
  const matches: number[] = []
  return { matches, verify: { digest, onMatch: () => matches.push(1) } }
}

describe('a file that is compared with its digest', () => {
  it('comes whole where it matches', async () => {
    const { matches, ...options } = verify()
    assert.deepEqual(await read(options), { got: bytes.toString(), err: undefined })
    assert.equal(matches.length, 1)
  })

  it('is never complete where it does not', async () => {
    const { matches, ...options } = verify(sha256(Buffer.from('other')))
    const { got, err } = await read(options)
    assert.equal((err as { code?: string }).code, 'UNAVAILABLE')
    assert.deepEqual([got, matches], [bytes.subarray(0, 14).toString(), []])
  })

  it('matches once where it is empty', async () => {
    const empty = Buffer.alloc(0)
    const { matches, ...options } = verify(sha256(empty))
    assert.deepEqual(await read(options, empty, 0), { got: '', err: undefined })
    assert.equal(matches.length, 1)
  })

  it('fails where it is empty and should be another', async () => {
    const { matches, ...options } = verify()
    assert.equal(((await read(options, Buffer.alloc(0), 0)).err as { code?: string }).code, 'UNAVAILABLE')
    assert.deepEqual(matches, [])
  })
})

it('a file that is shorter than it should be is damaged, and longer bytes never come', async () => {
  let damages = 0
  const onDamage = (): void => {
    damages++
  }
  const short = await read({ onDamage }, bytes.subarray(0, 10))
  assert.equal((short.err as { code?: string }).code, 'UNAVAILABLE')
  const long = await read({ onDamage }, Buffer.concat([bytes, bytes]))
  assert.equal((long.err as { code?: string }).code, 'UNAVAILABLE')
  assert.ok(long.got.length <= bytes.byteLength)
  assert.equal(damages, 2)
})

it('a file is held while it is read, and no longer', async () => {
  const events: string[] = []
  const hold = (): Disposable => {
    events.push('held')
    return { [Symbol.dispose]: () => events.push('released') }
  }
  await read({ hold })
  await read({ hold }, Buffer.alloc(3))
  assert.deepEqual(events, ['held', 'released', 'held', 'released'])
})
