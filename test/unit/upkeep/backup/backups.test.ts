import { trusted } from '../../../../src/access/caller.ts'
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { asyncIterableReader } from '@ipld/car/decoder'
import { CID } from 'multiformats/cid'
import { blockKey, BlockSet } from '../../../../src/ipfs/blocks/block-set.ts'
import { encodeCar, readCarBlocks, readCarRoot, type CarSource } from '../../../../src/ipfs/car/car.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { Restorer, type RestoreResult } from '../../../../src/upkeep/backup/restorer.ts'
import { contentsOf } from '../../../fixtures/contents.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import {
  descriptorOf,
  imageIndex,
  imageManifest,
  ociIndex,
  ociLayer,
  ociManifest,
  sha512,
} from '../../../fixtures/manifests.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const signal = new AbortController().signal
const noGrace = { recent: 0, unreferenced: 0 }

let stores: TestRegistry
let other: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open(noGrace)
  other = await TestRegistry.open(noGrace)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
})

async function pushImage(
  repository: string,
  reference: string,
  layers: readonly Buffer[],
  init: Parameters<typeof imageManifest>[0] = {},
): Promise<{ digest: Digest; bytes: Buffer }> {
  await stores.pushEmptyConfig(repository)
  for (const layer of layers) {
    await stores.pushBlob(repository, layer)
  }
  const bytes = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), ...init })
  const { digest } = await stores.pushManifest(repository, reference === '' ? sha256(bytes) : reference, bytes)
  return { digest, bytes }
}

const large = randomBytes(2 * mebibyte + 5, 'large')

async function fill(): Promise<void> {
  await pushImage('team/app', 'v1', [large, randomBytes(1000, 'v1')])
  const child = await pushImage('team/app', '', [randomBytes(2000, 'child')])
  const index = imageIndex([descriptorOf(child.bytes, ociManifest)])
  await stores.pushManifest('team/app', 'multi', index, ociIndex)
  await pushImage('team/app', '', [], {
    subject: descriptorOf(index, ociIndex),
    artifactType: 'application/example.signature',
  })
  await pushImage('team/app', '', [randomBytes(100, 'untagged')])
  const layer = randomBytes(mebibyte + 1, 'sha512')
  await stores.pushBlob('other', layer, sha512(layer))
  await stores.pushEmptyConfig('other')
  await stores.pushBlob('other', large)
  await stores.pushManifest(
    'other',
    'latest',
    imageManifest({ layers: [descriptorOf(layer, ociLayer, sha512(layer)), descriptorOf(large)] }),
  )
}

async function backup(without = new BlockSet()): Promise<{ root: string; car: Buffer }> {
  await using backup = await stores.backups.begin(without, signal)
  return { root: backup.root, car: await readAll(backup.bytes) }
}

function sourceOf(bytes: Buffer): CarSource {
  return asyncIterableReader(
    (async function* () {
      for (let start = 0; start < bytes.byteLength; start += 100_000) {
        yield bytes.subarray(start, start + 100_000)
      }
    })(),
  )
}

async function restore(car: Buffer): Promise<RestoreResult> {
  const { blockLists, blockstore, condition, content, index, links, log } = other
  const listeners = { publisher: { tagged: () => {}, refresh: () => {} }, cidStore: { refresh: () => {} } }
  return await new Restorer({ blockLists, blockstore, condition, content, index, links, log, ...listeners }).restore(
    sourceOf(car),
    { signal },
  )
}

async function keysOf(car: Buffer): Promise<BlockSet> {
  const source = sourceOf(car)
  await readCarRoot(source)
  const keys = new BlockSet()
  for await (const { cid } of readCarBlocks(source)) {
    keys.add(blockKey(cid.multihash.digest))
  }
  return keys
}

describe('a backup of a registry of which blocks are missing', () => {
  const [own, shared] = [randomBytes(2 * mebibyte, 'own'), randomBytes(300, 'shared')]

  for (const [what, lose] of [
    ['a node of a layer', async () => (await stores.index.blob(sha256(own)))!.cid],
    ['a leaf of a layer', async () => (await leafBlock(own.subarray(0, mebibyte))).cid.toString()],
    ['an image root', async () => (await stores.repository('a').manifest({ tag: 'bad' })).root],
    [
      'a manifest',
      async () =>
        (await stores.index.manifest('a', (await stores.repository('a').manifest({ tag: 'bad' })).digest))!.cid,
    ],
  ] as const) {
    it(`has all but the image that needs ${what}`, async () => {
      const bad = await pushImage('a', 'bad', [own, shared])
      const good = await pushImage('a', 'good', [shared])
      await pushImage('b', 'latest', [shared])
      await rm(stores.files.path(CID.parse(await lose())))
      await using backup = await stores.backups.begin(new BlockSet(), signal)
      assert.ok(backup.leftOut.some(({ repository, digest }) => repository === 'a' && digest === bad.digest))
      assert.ok(backup.leftOut.every(({ digest }) => [bad.digest, sha256(own)].includes(digest)))
      await restore(await readAll(backup.bytes))
      const { items } = await other.repository('a').tags({ limit: 10, last: undefined })
      assert.deepEqual(items, ['good'])
      assert.equal((await other.repository('a').manifest({ tag: 'good' })).digest, good.digest)
      assert.ok((await readAll((await other.repository('b').blob(sha256(shared))).read())).equals(shared))
    })
  }
})

describe('a backup', () => {
  it('has all that clients can get, and nothing twice', async () => {
    await fill()
    const before = await contentsOf(stores)
    const { root, car } = await backup()
    const { seconds: _, bytes, blocks, ...result } = await restore(car)
    assert.deepEqual(result, { root, repositories: 2, tags: 3, manifests: 6, blobs: 8 })
    assert.ok(bytes < large.byteLength + mebibyte + 30_000, `${bytes} bytes in ${blocks} blocks`)
    assert.deepEqual(await contentsOf(other), before)
    await other.reopen()
    assert.deepEqual(await contentsOf(other), before)
    assert.deepEqual((await keysOf(car)).size, blocks)
  })

  it('says about how large it is before it comes', async () => {
    await fill()
    await using first = await stores.backups.begin(new BlockSet(), signal)
    const car = await readAll(first.bytes)
    assert.ok(Math.abs(first.size / car.byteLength - 1) < 0.05, `${first.size} of ${car.byteLength} bytes`)
    await pushImage('team/app', 'v2', [large, randomBytes(mebibyte / 2, 'v2')])
    await using second = await stores.backups.begin(await keysOf(car), signal)
    const { byteLength } = await readAll(second.bytes)
    assert.ok(Math.abs(second.size / byteLength - 1) < 0.05, `${second.size} of ${byteLength} bytes`)
  })

  it('has thousands of tags of a repository', async () => {
    const { digest } = await pushImage('team/app', 'v1', [])
    const change = stores.index.change()
    for (let i = 0; i < 2500; i++) {
      change.putTag('team/app', `v${i}`, { digest, updated: new Date(i).toISOString() })
    }
    await change.commit({ durable: false })
    const { car } = await backup()
    assert.equal((await restore(car)).tags, 2500)
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
  })

  it('depends on the content alone', async () => {
    await fill()
    const { root, car } = await backup()
    await restore(car)
    await using again = await other.backups.begin(new BlockSet(), signal)
    assert.equal(again.root, root)
  })

  it('is of one moment, whatever is pushed, deleted and collected while it is read', async () => {
    await fill()
    const before = await contentsOf(stores)
    await using running = await stores.backups.begin(new BlockSet(), signal)
    await pushImage('new', 'v1', [randomBytes(10, 'new')])
    await stores.repository('team/app').deleteManifest({ digest: (await stores.index.tag('team/app', 'v1'))!.digest })
    await stores.repository('other').deleteManifest({ digest: (await stores.index.tag('other', 'latest'))!.digest })
    await stores.collector().collect()
    await restore(await readAll(running.bytes))
    assert.deepEqual(await contentsOf(other), before)
    await running[Symbol.asyncDispose]()
    assert.ok((await stores.collector().collect()).bytes > mebibyte)
  })

  it('leaves out what an earlier one has', async () => {
    await fill()
    const first = await backup()
    await pushImage('team/app', 'v2', [large, randomBytes(3000, 'v2')])
    const second = await backup(await keysOf(first.car))
    assert.ok(second.car.byteLength < 20_000, `${second.car.byteLength} bytes`)
    const third = await backup(
      await keysOf(Buffer.concat([first.car, second.car.subarray(await headerBytes(second.car))])),
    )
    assert.deepEqual([third.root, third.car.byteLength], [second.root, await headerBytes(third.car)])
    await assert.rejects(restore(second.car), { code: 'REQUEST_INVALID' })
    // as one stream: the header of the last, and the blocks of all
    const blocks = (async function* () {
      for (const { car } of [first, second]) {
        const source = sourceOf(car)
        await readCarRoot(source)
        yield* readCarBlocks(source)
      }
    })()
    await restore(await readAll(encodeCar(second.root, blocks)))
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
  })
})

async function headerBytes(car: Buffer): Promise<number> {
  const source = sourceOf(car)
  await readCarRoot(source)
  return source.pos
}

describe('a restore', () => {
  it('refuses a backup of which a bit is flipped, anywhere, or a part is missing, and serves nothing of it', async () => {
    await pushImage('a', 'v1', [randomBytes(3000, 'layer')])
    const { car } = await backup()
    const reasons = new Set<string>()
    const refused = async (bytes: Buffer, what: string): Promise<void> => {
      await assert.rejects(
        restore(bytes),
        (err: { code?: string; detail?: { reason: string } }) => {
          reasons.add(err.detail?.reason.replace(/\b(baf\w+|\d+)\b/g, '_') ?? '')
          return err.code === 'REQUEST_INVALID'
        },
        what,
      )
      assert.deepEqual(await other.registry.repositories({ limit: 1, last: undefined }, trusted), {
        items: [],
        more: false,
      })
    }
    // what was stored of a shorter one is here for the next
    for (let end = 0; end < car.byteLength; end += 41) {
      await refused(car.subarray(0, end), `cut at ${end}`)
    }
    for (let offset = 0; offset < car.byteLength; offset += offset < 300 ? 1 : 17) {
      const altered = Buffer.from(car)
      altered[offset]! ^= 1 << (offset % 8)
      await refused(altered, `bit at ${offset}`)
    }
    assert.ok(reasons.size > 2, [...reasons].join('\n'))
    await restore(car)
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
  })

  it('wants an empty registry', async () => {
    await pushImage('a', 'v1', [])
    const { car } = await backup()
    await restore(car)
    await assert.rejects(restore(car), { code: 'DENIED' })
  })

  it('that is cut short in the index serves nothing, and can be run again', async () => {
    await fill()
    const { car } = await backup()
    const change = other.index.change.bind(other.index)
    let left = Infinity
    other.index.change = () => {
      if (--left < 0) {
        throw new Error('the process ends here')
      }
      return change()
    }
    const { markRestoring } = other.condition
    other.condition.markRestoring = async () => {
      await markRestoring.call(other.condition)
      left = 1
    }
    await assert.rejects(restore(car), /the process ends here/)
    await other.reopen()
    assert.equal((await Array.fromAsync(other.index.repositories({ limit: -1, last: undefined }))).length, 1)
    await assert.rejects(other.registry.repositories({ limit: 1, last: undefined }, trusted), { code: 'UNAVAILABLE' })
    await assert.rejects(other.registry.repository('other', trusted), { code: 'UNAVAILABLE' })
    await assert.rejects(other.collector().collect(), { code: 'UNAVAILABLE' })
    await restore(car)
    assert.deepEqual(await contentsOf(other), await contentsOf(stores))
    assert.equal((await other.registry.repositories({ limit: 9, last: undefined }, trusted)).items.length, 2)
  })
})
