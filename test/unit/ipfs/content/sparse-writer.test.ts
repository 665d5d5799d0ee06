import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import type { CID } from 'multiformats/cid'
import type { SparseState } from '../../../../src/ipfs/content-store.ts'
import { BufferPool } from '../../../../src/ipfs/blocks/buffer-pool.ts'
import type { Block } from '../../../../src/ipfs/blocks/block.ts'
import { blockNotFound } from '../../../../src/ipfs/blocks/block.ts'
import { leafCid, leafSize } from '../../../../src/ipfs/dag/encode-node.ts'
import { DagWriter } from '../../../../src/ipfs/content/dag-writer.ts'
import { DagSparseWriter } from '../../../../src/ipfs/content/sparse-writer.ts'
import { HashWorkers } from '../../../../src/ipfs/hashing/hash-workers.ts'
import { inlineHasher, type Hasher } from '../../../../src/ipfs/hashing/hasher.ts'
import type { DigestAlgorithm } from '../../../../src/oci/digest.ts'
import { randomBytes } from '../../../fixtures/images.ts'

/** Blocks in memory; each put takes a turn of the event loop */
class Store {
  readonly blocks = new Map<string, Uint8Array>()
  readonly buffers = new BufferPool(leafSize, 4)
  readonly hasher: Hasher
  reads = 0

  constructor(hasher: Hasher = inlineHasher) {
    this.hasher = hasher
  }

  put = async (block: Block): Promise<void> => {
    await setImmediate()
    this.blocks.set(block.cid.toString(), new Uint8Array(block.bytes))
  }

  get = async (cid: CID): Promise<Uint8Array> => {
    this.reads++
    await setImmediate()
    const bytes = this.blocks.get(cid.toString())
    if (bytes === undefined) {
      throw blockNotFound(cid)
    }
    return bytes
  }

  sparse(size: number, state?: SparseState, digest: DigestAlgorithm = 'sha256'): DagSparseWriter {
    return new DagSparseWriter(this, { size, digest, state })
  }
}

function leafOf(bytes: Uint8Array, leaf: number): Uint8Array {
  return bytes.subarray(leaf * leafSize, (leaf + 1) * leafSize)
}

async function pushed(bytes: Uint8Array, digest: DigestAlgorithm): Promise<object> {
  const store = new Store()
  const writer = new DagWriter(store, { digest })
  await writer.write(bytes)
  return { file: await writer.close(), blocks: new Set(store.blocks.keys()), keys: keysOf(writer.blockKeys()) }
}

function keysOf(keys: Uint8Array): Set<string> {
  const found = new Set<string>()
  for (let at = 0; at < keys.byteLength; at += 16) {
    found.add(Buffer.from(keys.subarray(at, at + 16)).toString('hex'))
  }
  return found
}

const whole = randomBytes(6 * leafSize, 'sparse')
/** Leaves 1, 2 and 4 are the same, and so are 3 and 5 */
const repeating = Buffer.concat([0, 1, 1, 2, 1, 2].map(leaf => leafOf(whole, leaf)))

describe('a file whose leaves come in any order', () => {
  const sizes = fc.oneof(
    fc.nat(whole.byteLength),
    fc.constantFrom(0, 1, leafSize - 1, leafSize, leafSize + 1, 3 * leafSize, whole.byteLength),
  )
  const order = fc.array(fc.nat(5), { maxLength: 10 })

  it('is the same file as one that is pushed, with the same blocks', async () => {
    await fc.assert(
      fc.asyncProperty(
        ...[sizes, order, fc.boolean(), fc.constantFrom('sha256', 'sha512')],
        fc.array(fc.constantFrom('one by one', 'together', 'restart'), { minLength: 4, maxLength: 4 }),
        async (size, order, repeats, digest, ways) => {
          const bytes = (repeats ? repeating : whole).subarray(0, size as number)
          const algorithm = digest as DigestAlgorithm
          const store = new Store()
          let writer = store.sparse(bytes.byteLength, undefined, algorithm)
          const all = [...(order as number[]), 0, 1, 2, 3, 4, 5].filter(leaf => leaf < writer.leafCount)
          const running: Promise<void>[] = []
          for (const [i, leaf] of all.entries()) {
            const way = ways[i % ways.length]
            const written = writer.write(leaf, leafOf(bytes, leaf))
            if (way === 'together') {
              running.push(written)
            } else {
              await written
            }
            if (way === 'restart') {
              writer.discard()
              await Promise.all(running.splice(0))
              const state = writer.state()
              writer = store.sparse(bytes.byteLength, state, algorithm)
              assert.deepEqual(writer.state(), state)
            }
          }
          await Promise.all(running)
          const file = await writer.close(algorithm)
          assert.deepEqual(
            { file, blocks: new Set(store.blocks.keys()), keys: keysOf(writer.blockKeys()) },
            await pushed(bytes, algorithm),
          )
          assert.deepEqual(new Set(writer.blocks()), new Set(store.blocks.keys()))
          writer.discard()
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is hashed as it comes where it comes in order, and read again otherwise', async () => {
    const store = new Store()
    const inOrder = store.sparse(whole.byteLength)
    await Promise.all([0, 1, 2, 3, 4, 5].map(async leaf => await inOrder.write(leaf, leafOf(whole, leaf))))
    await inOrder.close('sha256')
    assert.equal(store.reads, 0)
    const outOfOrder = store.sparse(whole.byteLength)
    for (const leaf of [0, 2, 3, 5, 4, 1]) {
      await outOfOrder.write(leaf, leafOf(whole, leaf))
    }
    await outOfOrder.close('sha256')
    assert.equal(store.reads, 4)
  })

  it('can be closed with another algorithm', async () => {
    const writer = new Store().sparse(whole.byteLength)
    for (const leaf of [0, 1, 2, 3, 4, 5]) {
      await writer.write(leaf, leafOf(whole, leaf))
    }
    assert.deepEqual(
      { file: await writer.close('sha512') }.file,
      ((await pushed(whole, 'sha512')) as { file: object }).file,
    )
  })

  it('has the digest of the last bytes that came for each leaf', async () => {
    const writer = new Store().sparse(whole.byteLength)
    for (const leaf of [0, 1, 2, 3, 4, 5]) {
      await writer.write(leaf, leafOf(repeating, leaf))
    }
    await writer.close('sha256')
    for (const leaf of [2, 3, 4, 5, 2]) {
      await writer.write(leaf, leafOf(whole, leaf))
    }
    assert.deepEqual(await writer.close('sha256'), ((await pushed(whole, 'sha256')) as { file: object }).file)
  })

  it('is hashed by threads, too', async () => {
    const hasher = new HashWorkers(2)
    try {
      const store = new Store(hasher)
      const writer = store.sparse(whole.byteLength)
      await Promise.all([3, 4, 0, 1, 5, 2].map(async leaf => await writer.write(leaf, leafOf(whole, leaf))))
      assert.deepEqual(await writer.close('sha256'), ((await pushed(whole, 'sha256')) as { file: object }).file)
      writer.discard()
    } finally {
      await hasher.stop()
    }
  })
})

describe('a file that lacks a leaf', () => {
  it('can not be closed, and goes on', async () => {
    const writer = new Store().sparse(2 * leafSize)
    await writer.write(1, leafOf(whole, 1))
    await assert.rejects(writer.close('sha256'), RangeError)
    await writer.write(0, leafOf(whole, 0))
    await writer.close('sha256')
  })

  it('takes no leaf of another length', async () => {
    const store = new Store()
    const writer = store.sparse(2 * leafSize + 5)
    for (const [leaf, length] of [
      [0, leafSize - 1],
      [2, 6],
      [2, leafSize],
      [3, 0],
      [-1, leafSize],
    ] as const) {
      await assert.rejects(writer.write(leaf, whole.subarray(0, length)), RangeError)
    }
    await writer.write(0, leafOf(whole, 0))
    await writer.write(1, leafOf(whole, 0))
    assert.deepEqual(
      [0, 1, 2].map(leaf => writer.has(leaf)),
      [true, true, false],
    )
    assert.equal(store.buffers.free, 1)
  })

  it('is told of one that is lost again, and takes it once more', async () => {
    const store = new Store()
    const writer = store.sparse(2 * leafSize)
    await writer.write(1, leafOf(whole, 1))
    store.blocks.delete(leafCid(writer.hash(1)!).toString())
    await writer.write(0, leafOf(whole, 0))
    await assert.rejects(writer.close('sha256'), { name: 'NotFoundError' })
    assert.equal(writer.has(1), false)
    await assert.rejects(writer.read(1), RangeError)
    await writer.write(1, leafOf(whole, 1))
    assert.deepEqual(Buffer.from(await writer.read(1)), leafOf(whole, 1))
    await writer.close('sha256')
  })

  it('does not store a leaf that could not be put', async () => {
    const store = new Store()
    const writer = store.sparse(leafSize)
    const { put } = store
    store.put = async () => {
      throw new Error('full')
    }
    await assert.rejects(writer.write(0, leafOf(whole, 0)), { message: 'full' })
    assert.deepEqual([writer.has(0), writer.blocks()], [false, []])
    store.put = put
    await writer.write(0, leafOf(whole, 1))
    assert.deepEqual(
      await writer.close('sha256'),
      ((await pushed(leafOf(whole, 1), 'sha256')) as { file: object }).file,
    )
  })
})
