import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { HashWorkers } from '../../../../src/ipfs/hashing/hash-workers.ts'
import { inlineHasher, type Hasher } from '../../../../src/ipfs/hashing/hasher.ts'
import { randomBytes } from '../../../fixtures/images.ts'

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
