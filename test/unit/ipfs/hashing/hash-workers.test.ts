import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { HashWorkers } from '../../../../src/ipfs/hashing/hash-workers.ts'
import { inlineHasher, type Hasher } from '../../../../src/ipfs/hashing/hasher.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { until } from '../../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const bytes = randomBytes(3 * mebibyte, 'hashed')
const leaves = [bytes.subarray(0, mebibyte), bytes.subarray(mebibyte, 2 * mebibyte)]

function hashOf(algorithm: string, ...parts: Uint8Array[]): string {
  return parts.reduce((hash, part) => hash.update(part), createHash(algorithm)).digest('hex')
}

function hex(hash: Uint8Array): string {
  return Buffer.from(hash).toString('hex')
}

function suite(name: string, hasher: Hasher): void {
  describe(name, () => {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      for (const size of [0, 10, 200_000]) {
        it(`hashes leaves, a tail of ${size} bytes and with them the file by ${algorithm}`, async () => {
          const tail = bytes.subarray(2 * mebibyte, 2 * mebibyte + size)
          for (const before of [[], leaves]) {
            const file = hasher.file(algorithm)
            const hashed = before.map(async leaf => hex(await file.leaf(leaf)))
            const { leaf, whole } = await file.tail(tail)
            assert.deepEqual(
              [...(await Promise.all(hashed)), hex(leaf), hex(whole)],
              [
                ...before.map(leaf => hashOf('sha256', leaf)),
                hashOf('sha256', tail),
                hashOf(algorithm, ...before, tail),
              ],
            )
            file.discard()
          }
        })
      }
    }

    it('does not count a tail as part of the file, which may go on', async () => {
      const file = hasher.file('sha256')
      await file.tail(leaves[0]!.subarray(0, 100_000))
      await file.leaf(leaves[0]!)
      await file.tail(leaves[1]!.subarray(0, 10))
      const { whole } = await file.tail(leaves[1]!)
      assert.equal(hex(whole), hashOf('sha256', ...leaves))
      file.discard()
    })

    it('hashes a file of which only the whole is wanted, in pieces of any size that may change at once', async () => {
      const file = hasher.file('sha512')
      const added = [0, 10, 300_000, 2_500_000].map(async (start, i, starts) => {
        const piece = Uint8Array.from(bytes.subarray(start, starts[i + 1]))
        const done = file.add(piece)
        piece.fill(0)
        await done
      })
      await Promise.all(added)
      assert.equal(hex((await file.tail(new Uint8Array())).whole), hashOf('sha512', bytes))
      file.discard()
    })

    it('keeps the hashes of files apart that are written at the same time', async () => {
      const files = Array.from({ length: 8 }, (_, i) => ({
        file: hasher.file('sha256'),
        first: bytes.subarray(i, i + mebibyte),
      }))
      await Promise.all(files.map(async ({ file, first }) => await file.leaf(first)))
      for (const { file, first } of files) {
        assert.equal(hex((await file.tail(leaves[1]!)).whole), hashOf('sha256', first, leaves[1]!))
        file.discard()
      }
    })
  })
}

const workers = new HashWorkers(2)
after(async () => {
  await workers.stop()
})

suite('a hasher on the thread of its caller', inlineHasher)
suite('a hasher on threads of its own', workers)

describe('a block that belongs to no file', () => {
  const hashers = new HashWorkers(1)
  after(async () => {
    await hashers.stop()
  })
  const large = Uint8Array.from(leaves[0]!)
  const expected = hashOf('sha256', large)

  it('is hashed at once where it is small, larger than our own, or no thread runs yet', () => {
    for (const block of [bytes.subarray(0, 1000), bytes, large]) {
      assert.equal(hex(hashers.block(block) as Uint8Array), hashOf('sha256', block))
    }
  })

  it('is hashed by a thread, from a copy', async () => {
    await until('the thread runs', () => hashers.block(large) instanceof Promise)
    const block = Uint8Array.from(large)
    const digest = hashers.block(block)
    block.fill(0)
    assert.equal(hex(await digest), expected)
  })

  it('is hashed at once where it is the first for a while', async () => {
    await until('the thread runs', () => hashers.block(large) instanceof Promise)
    await sleep(150)
    assert.equal(hex(hashers.block(large) as Uint8Array), expected)
    assert.equal(hex(await hashers.block(large)), expected)
  })

  it('is hashed here where the thread has too much to do', async () => {
    await until('the thread runs', () => hashers.block(large) instanceof Promise)
    await hashers.block(large)
    const digests = Array.from({ length: 50 }, () => hashers.block(large))
    assert.equal(digests.filter(digest => digest instanceof Promise).length, 2)
    assert.deepEqual(new Set((await Promise.all(digests)).map(hex)), new Set([expected]))
  })
})

describe('a thread that ends', () => {
  it('fails what waits for it and the files that it had begun, and the next file gets another', async () => {
    const hashers = new HashWorkers(1)
    try {
      const file = hashers.file('sha256')
      await file.leaf(leaves[0]!)
      const waiting = file.leaf(leaves[1]!)
      await Promise.all([assert.rejects(waiting, /has ended/), hashers.stop()])
      await assert.rejects(file.tail(leaves[1]!), /has ended/)
      assert.equal(hex(await hashers.file('sha256').leaf(leaves[1]!)), hashOf('sha256', leaves[1]!))
    } finally {
      await hashers.stop()
    }
  })
})
