import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { LevelIndex } from '../../../src/index/level-index.ts'
import { sha256 } from '../../fixtures/images.ts'
import { temporaryDirectory } from '../../fixtures/temporary.ts'

const blobs = Number(process.env['BLOBS'] ?? 20)
const blocksPerBlob = 1000
const blob = { cid: 'bafy', size: 1, dagSize: 1 }
/** In memory it is nothing; the rest is what the process does meanwhile */
const maxBytesPerBlock = 150

async function sizeOf(directory: string): Promise<number> {
  const files = await readdir(directory)
  const sizes = await Promise.all(files.map(async file => (await stat(join(directory, file))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

describe('the blocks in the index', () => {
  it('take little room on disk, and are looked up fast among many', async t => {
    await using directory = await temporaryDirectory('index')
    const path = join(directory.path, 'index')
    const index = new LevelIndex(path)
    await index.open()
    const lists: Buffer[] = []
    let slowest = 0
    for (let i = 0; i < blobs; i++) {
      const [digest, blocks] = [sha256(Buffer.from(String(i))), randomBytes(16 * blocksPerBlob)]
      lists.push(blocks)
      const began = performance.now()
      await index
        .change()
        .putBlob(digest, blob)
        .putBlobBlocks(digest, blocks)
        .putLink(`team/app${i % 7}`, digest)
        .commit({ durable: true })
      slowest = Math.max(slowest, performance.now() - began)
    }
    await index.close()
    await index.open()
    const began = performance.now()
    const lookUps = 1000
    for (let i = 0; i < lookUps; i++) {
      const at = 16 * ((i * 7919) % blocksPerBlob)
      const block = lists[(i * 31) % blobs]!.subarray(at, at + 16)
      assert.equal(await index.isOwned(block, name => name === `team/app${((i * 31) % blobs) % 7}`), true)
      assert.equal(await index.isOwned(block, () => false), false)
      assert.equal(await index.isOwned(randomBytes(16), () => true), false)
    }
    const each = (performance.now() - began) / (3 * lookUps)
    await index.close()
    const perBlock = (await sizeOf(path)) / (blobs * blocksPerBlob)
    t.diagnostic(
      `${blobs * blocksPerBlob} blocks: ${perBlock.toFixed(0)} bytes a block on disk, ${each.toFixed(2)} ms a look-up, ` +
        `at most ${slowest.toFixed(0)} ms for the commit of a blob of ${blocksPerBlob} blocks`,
    )
    assert.ok(perBlock < maxBytesPerBlock, `${perBlock} bytes`)
  })
})
