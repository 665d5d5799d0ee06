import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { ManifestRecord } from '../../../src/index/index.ts'
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

const manifest: ManifestRecord = {
  mediaType: 'a/b',
  size: 2,
  cid: 'bafy',
  dagSize: 2,
  root: 'bafyroot',
  blobs: [],
  manifests: [],
}

describe('the blocks in the index', () => {
  it('are unknown of a record with other content until they are put', async () => {
    await using directory = await temporaryDirectory('index')
    const index = new LevelIndex(join(directory.path, 'index'))
    await index.open()
    const [digest, block] = [sha256(Buffer.from('a')), randomBytes(16)]
    const isKnown = async (): Promise<boolean[]> => [
      await index.hasBlobBlocks(digest),
      await index.hasManifestBlocks('r', digest),
      await index.isOwned(block, name => name === 'r'),
      await index.isOwned(block, name => name === 'linked'),
    ]
    const put = async (cid: string, root: string): Promise<void> => {
      const change = index
        .change()
        .putBlob(digest, { ...blob, cid })
        .putLink('linked', digest)
      await change.putManifest('r', digest, { ...manifest, root }).commit({ durable: false })
    }
    await put('bafy', 'bafyroot')
    assert.deepEqual(await isKnown(), [false, false, false, false])
    await index.change().putBlobBlocks(digest, block).putManifestBlocks('r', digest, block).commit({ durable: false })
    assert.deepEqual(await isKnown(), [true, true, true, true])
    await put('bafy', 'bafyroot')
    assert.deepEqual(await isKnown(), [true, true, true, true])
    await put('bafy', 'another')
    assert.deepEqual(await isKnown(), [true, false, false, true])
    await put('another', 'another')
    assert.deepEqual(await isKnown(), [false, false, false, false])
    await index.close()
  })

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
