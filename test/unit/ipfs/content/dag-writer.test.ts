import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import type { CID } from 'multiformats/cid'
import type { WriterState } from '../../../../src/ipfs/content-store.ts'
import { BufferPool } from '../../../../src/ipfs/blocks/buffer-pool.ts'
import type { Block } from '../../../../src/ipfs/blocks/block.ts'
import { leafSize } from '../../../../src/ipfs/dag/encode-node.ts'
import { DagWriter } from '../../../../src/ipfs/content/dag-writer.ts'
import { inlineHasher } from '../../../../src/ipfs/hashing/hasher.ts'
import { randomBytes } from '../../../fixtures/images.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { until } from '../../../fixtures/until.ts'

/** Blocks in memory; like a disk it keeps what it was given, whatever becomes of the buffer afterwards */
class Store {
  readonly blocks = new Map<string, Uint8Array>()
  readonly buffers = new BufferPool(leafSize, 4)
  readonly hasher = inlineHasher
  beforePut: (block: Block) => Promise<void> | void = () => {}

  put = async (block: Block): Promise<void> => {
    await this.beforePut(block)
    this.blocks.set(block.cid.toString(), new Uint8Array(block.bytes))
  }

  get = async (cid: CID): Promise<Uint8Array> => this.blocks.get(cid.toString())!

  writer(state?: WriterState): DagWriter {
    return new DagWriter(this, { state })
  }
}

const bytes = randomBytes(5 * leafSize, 'writer')
const broken = new Error('broken')

async function cidOf(content: Uint8Array): Promise<string> {
  const writer = new Store().writer()
  await writer.write(content)
  return (await writer.close()).cid
}

describe('a writer that is discarded', () => {
  it('gives its buffer back, once', async () => {
    const store = new Store()
    const writer = store.writer()
    await writer.write(bytes.subarray(0, 100))
    writer.discard()
    writer.discard()
    assert.equal(store.buffers.free, 1)
  })
})

describe('a writer whose tail is damaged', () => {
  it('leaves no buffer behind', async () => {
    const store = new Store()
    const first = store.writer()
    await first.write(bytes.subarray(0, 100))
    const state = await first.checkpoint()
    store.get = async () => new Uint8Array(99)
    await assert.rejects(store.writer(state).write(bytes.subarray(100, 200)), { name: 'DamagedBlockError' })
    assert.equal(store.buffers.free, 1)
  })
})

describe('a writer that goes on from its state', () => {
  const size = fc.oneof(fc.nat(100), fc.nat(leafSize * 2), fc.constantFrom(0, 1, leafSize - 1, leafSize, leafSize + 1))
  const step = fc.oneof(
    { weight: 3, arbitrary: size.map(size => ({ do: 'write' as const, size })) },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom('checkpoint' as const, 'restart' as const, 'crash' as const)
        .map(name => ({ do: name, size: 0 })),
    },
  )

  it('makes the same file, wherever it was interrupted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        const store = new Store()
        let writer = store.writer()
        let offset = 0
        let saved: WriterState = { size: 0, leaves: [] }
        for (const { do: action, size } of steps) {
          if (action === 'write') {
            const piece = bytes.subarray(offset, offset + size)
            await writer.write(piece)
            offset += piece.byteLength
            assert.equal(writer.size, offset)
          } else if (action === 'crash') {
            // whatever was stored by chance, the last thing that was saved is the start
            saved = writer.stored().size > saved.size ? writer.stored() : saved
            writer = store.writer(JSON.parse(JSON.stringify(saved)))
            offset = saved.size
            assert.equal(writer.size, offset)
          } else {
            saved = await writer.checkpoint()
            assert.equal(saved.size, offset)
            writer = action === 'restart' ? store.writer(JSON.parse(JSON.stringify(saved))) : writer
          }
        }
        const { cid, size } = await writer.close()
        assert.deepEqual([cid, size], [await cidOf(bytes.subarray(0, offset)), offset])
      }),
      { numRuns: 40 },
    )
  })

  it('does not depend on how the bytes come', async () => {
    for (const pieceSize of [4096, 65_536, 1_000_000, leafSize * 3]) {
      const writer = new Store().writer()
      // a client's buffer is overwritten as soon as the write is done
      const piece = Buffer.alloc(pieceSize)
      for (let offset = 0; offset < bytes.byteLength; offset += pieceSize) {
        const length = bytes.copy(piece, 0, offset)
        await writer.write(piece.subarray(0, length))
        piece.fill(0)
      }
      assert.equal((await writer.close()).cid, await cidOf(bytes), String(pieceSize))
    }
  })

  it('stores no leaf twice, and none that is not part of the file but the tails of its checkpoints', async () => {
    const store = new Store()
    let writer = store.writer()
    for (const size of [100, leafSize, 100]) {
      await writer.write(bytes.subarray(writer.size, writer.size + size))
      writer = store.writer(await writer.checkpoint())
    }
    await writer.close()
    // tails of 100, 100 and 200 bytes, of which the last one stays, the full leaf, and the root
    const sizes = [...store.blocks.values()].map(block => block.byteLength).sort((a, b) => a - b)
    assert.deepEqual([sizes[0], sizes[1], sizes[3], sizes[4], sizes.length], [100, 100, 200, leafSize, 5])
  })

  for (const [what, change] of [
    ['shorter', (tail: Uint8Array) => tail.subarray(1)],
    ['longer', (tail: Uint8Array) => Buffer.concat([tail, tail])],
    ['far too long', () => Buffer.alloc(leafSize + 1)],
  ] as const) {
    it(`stops at a tail that is ${what} than it was`, async () => {
      const store = new Store()
      const writer = store.writer()
      await writer.write(bytes.subarray(0, 100))
      const state = await writer.checkpoint()
      store.blocks.set(state.tail!, change(store.blocks.get(state.tail!)!))
      await assert.rejects(store.writer(state).write(Buffer.from('more')), { name: 'DamagedBlockError' })
      await assert.rejects(writer.write(Buffer.from('more')), { name: 'DamagedBlockError' })
    })
  }
})

describe('a writer on a disk that fails', () => {
  it('tells so in the next call, be it a write, a checkpoint or the end', async () => {
    for (const last of ['write', 'checkpoint', 'close'] as const) {
      const store = new Store()
      const writer = store.writer()
      store.beforePut = async () => {
        await setImmediate()
        throw broken
      }
      const work = async (): Promise<void> => {
        // no more leaves than this can be on their way
        for (let i = 0; i < (last === 'write' ? 9 : 1); i++) {
          await writer.write(bytes.subarray(0, leafSize))
        }
        await (last === 'write' ? undefined : writer[last]())
      }
      await assert.rejects(work(), broken, last)
      await setImmediate()
    }
  })

  it("tells so when the tail or the root can't be written", async () => {
    for (const failing of [1, 2]) {
      const store = new Store()
      const writer = store.writer()
      await writer.write(bytes.subarray(0, leafSize + 1))
      await until('the leaf is stored', () => store.blocks.size === 1)
      let puts = 0
      store.beforePut = () => {
        if (++puts === failing) {
          throw broken
        }
      }
      await assert.rejects(writer.close(), broken)
      assert.equal(puts, failing)
    }
  })

  it('counts nothing after the leaf that failed as stored', async () => {
    const store = new Store()
    const writer = store.writer()
    store.beforePut = ({ bytes: leaf }) => {
      if (bytes.subarray(leafSize, 2 * leafSize).equals(leaf)) {
        throw broken
      }
    }
    await assert.rejects(async () => {
      await writer.write(bytes)
      await writer.checkpoint()
    }, broken)
    const stored = await until(
      'the leaf before it is stored',
      () => writer.stored().leaves.length > 0 && writer.stored(),
    )
    assert.equal(stored.leaves.length, 1)
    store.beforePut = () => {}
    // from there it goes on once the disk is well again
    const next = store.writer(stored)
    await next.write(bytes.subarray(stored.size))
    assert.equal((await next.close()).cid, await cidOf(bytes))
  })

  it('is never written to by more than eight leaves at a time', async () => {
    const store = new Store()
    let inFlight = 0
    let most = 0
    store.beforePut = async () => {
      most = Math.max(most, ++inFlight)
      await sleep(10)
      inFlight--
    }
    const writer = store.writer()
    for (let i = 0; i < 24; i++) {
      await writer.write(bytes.subarray(0, leafSize))
    }
    await writer.close()
    assert.ok(most > 1 && most <= 8, String(most))
    assert.equal(inFlight, 0)
  })
})

describe('a file of more than 64 GiB', () => {
  const leaf = async (i: number): Promise<string> => (await leafBlock(Buffer.from(`leaf ${i}`))).cid.toString()
  const count = 64 * 1024 + 1

  it('is not stored where it says the same again and again, as nobody would read it', async () => {
    const one = await leaf(0)
    await assert.rejects(
      new Store().writer({ size: count * leafSize, leaves: Array<string>(count).fill(one) }).close(),
      { name: 'RepetitiveFileError' },
    )
  })

  it('is stored where a thousandth of it differs', async () => {
    const leaves = await Promise.all(Array.from({ length: 65 }, async (_, i) => await leaf(i)))
    const { size } = await new Store()
      .writer({ size: count * leafSize, leaves: Array.from({ length: count }, (_, i) => leaves[i % 65]!) })
      .close()
    assert.equal(size, count * leafSize)
  })
})
