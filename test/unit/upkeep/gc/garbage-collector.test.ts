import { trusted } from '../../../../src/access/caller.ts'
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { Digest } from '../../../../src/oci/digest.ts'
import { Publisher } from '../../../../src/registry/tags/publisher.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../../../fixtures/manifests.ts'
import { blocksBelow, blocksOnDisk, rootsInIndex } from '../../../fixtures/reachable.ts'
import { readAll, stream, TestRegistry } from '../../../fixtures/registry.ts'
import { wholeProtection } from '../../../../src/upkeep/retention/rules.ts'
import { until } from '../../../fixtures/until.ts'

const mebibyte = 1024 * 1024
const noGrace = { recent: 0, unreferenced: 0 }

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open(noGrace)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function pushImage(
  repository: string,
  tag: string,
  layers: Buffer[],
): Promise<{ digest: Digest; root: string; bytes: Buffer }> {
  await stores.pushEmptyConfig(repository)
  for (const layer of layers) {
    await stores.pushBlob(repository, layer)
  }
  const bytes = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), annotations: { tag } })
  const { digest, root } = await stores.pushManifest(repository, tag, bytes)
  return { digest, root, bytes }
}

async function assertOnlyNeeded(): Promise<void> {
  assert.deepEqual(
    [...(await blocksOnDisk(stores))].sort(),
    [...(await blocksBelow(stores, await rootsInIndex(stores)))].sort(),
  )
}

async function readBlob(repository: string, digest: Digest): Promise<Buffer> {
  return await readAll((await stores.repository(repository).blob(digest)).read())
}

describe('a garbage collection', () => {
  it('frees what a deleted image had for itself, within one cycle', async () => {
    const [shared, own] = [randomBytes(2 * mebibyte + 1, 'shared'), randomBytes(2 * mebibyte + 2, 'own')]
    const kept = await pushImage('a/b', 'v1', [shared])
    const gone = await pushImage('a/b', 'v2', [shared, own])
    const before = await bytesOnDisk(stores.blocks)
    await stores.repository('a/b').deleteManifest({ digest: gone.digest })
    const { bytes, blocks, links, manifests } = await stores.collector().collect()
    assert.ok(bytes >= own.byteLength && bytes < own.byteLength + 10_000, `${bytes} bytes freed`)
    assert.equal(await bytesOnDisk(stores.blocks), before - bytes)
    assert.ok(blocks > 4)
    assert.deepEqual([links, manifests], [1, 0])
    await assertOnlyNeeded()
    assert.ok((await readBlob('a/b', sha256(shared))).equals(shared))
    assert.ok(
      Buffer.from(await (await stores.repository('a/b').manifest({ digest: kept.digest })).read()).equals(kept.bytes),
    )
    await assert.rejects(stores.repository('a/b').blob(sha256(own)), { code: 'BLOB_UNKNOWN' })
  })

  it('finds nothing the second time, and nothing in an empty registry', async () => {
    assert.deepEqual((await stores.collector().collect()).blocks, 0)
    const { digest } = await pushImage('a', 'v1', [randomBytes(10, 'x')])
    await stores.repository('a').deleteManifest({ digest })
    assert.ok((await stores.collector().collect()).blocks > 0)
    assert.deepEqual((await stores.collector().collect()).blocks, 0)
    assert.equal((await blocksOnDisk(stores)).size, 0)
    assert.deepEqual(await Array.fromAsync(stores.index.blobs()), [])
    assert.deepEqual(await Array.fromAsync(stores.index.links()), [])
    assert.deepEqual((await stores.registry.repositories({ limit: 10, last: undefined }, trusted)).items, [])
  })

  it('only says what would go when it is dry', async () => {
    const { digest } = await pushImage('a', 'v1', [randomBytes(2 * mebibyte, 'x')])
    await pushImage('a', 'v2', [randomBytes(100, 'y')])
    await stores.repository('a').deleteManifest({ tag: 'v2' })
    await stores.repository('a').deleteManifest({ digest })
    await stores.pushBlob('b', randomBytes(100, 'unreferenced'))
    const state = async (): Promise<unknown> => [
      [...(await blocksOnDisk(stores))].sort(),
      await Array.fromAsync(stores.index.blobs()),
      await Array.fromAsync(stores.index.links()),
      await Array.fromAsync(stores.index.manifests('a')),
    ]
    const before = await state()
    const { seconds: _, ...dry } = await stores.collector({ untagged: 0 }).collect({ dryRun: true })
    assert.deepEqual(await state(), before)
    const { seconds: __, ...wet } = await stores.collector({ untagged: 0 }).collect()
    assert.deepEqual({ ...dry, dryRun: false }, wet)
    assert.equal(wet.manifests, 1)
    assert.equal((await blocksOnDisk(stores)).size, 0)
  })

  it('drops no upload when it is dry', async () => {
    const id = await stores.uploads.create('a')
    await stores.uploads.append('a', id, stream(Buffer.from('some of it')))
    await stores.collector().collect({ dryRun: true, grace: 0 })
    assert.equal(await stores.uploads.size('a', id), 10)
    await stores.collector().collect({ grace: 0 })
    await assert.rejects(stores.uploads.size('a', id), { code: 'BLOB_UPLOAD_UNKNOWN' })
  })

  it('leaves alone what was put lately, and links of blobs that clients may rely on', async () => {
    await stores.reopen({ recent: 60_000, unreferenced: 60_000 })
    const blob = randomBytes(2 * mebibyte, 'new')
    await stores.pushBlob('a', blob)
    await stores.content.add(randomBytes(10, 'written, and not in the index yet'))
    const { blocks, links } = await stores.collector().collect()
    assert.deepEqual([blocks, links], [0, 0])
    assert.ok((await readBlob('a', sha256(blob))).equals(blob))
  })

  it('leaves uploads alone: those in memory, those of before a restart, and what is on its way to a blob', async () => {
    const blob = randomBytes(3 * mebibyte + 5, 'upload')
    const saved = await stores.uploads.create('a')
    await stores.uploads.append('a', saved, stream(blob.subarray(0, 2 * mebibyte + 7)))
    await stores.reopen()
    const open = await stores.uploads.create('a')
    await stores.uploads.append('a', open, stream(blob.subarray(0, mebibyte + 9)))
    await stores.content.add(randomBytes(2 * mebibyte, 'garbage'))

    // a request that has stored leaves, which are saved nowhere yet
    const { promise: collected, resolve: goOn } = Promise.withResolvers<void>()
    const running = await stores.uploads.create('a')
    const appended = stores.uploads.append(
      'a',
      running,
      (async function* () {
        yield blob.subarray(0, 2 * mebibyte)
        await collected
        yield blob.subarray(2 * mebibyte)
      })(),
    )
    await until('two leaves are stored', async () => (await stores.uploads.size('a', running)) === 2 * mebibyte)
    // and one that is complete, its last block just not in the index
    const other = randomBytes(2 * mebibyte + 3, 'complete')
    const { sync } = stores.content
    const closing = Promise.withResolvers<void>()
    stores.content.sync = async () => {
      closing.resolve()
      await collected
      await sync.call(stores.content)
    }
    const pushed = stores.pushBlob('b', other)
    await closing.promise
    assert.ok((await stores.collector().collect()).bytes >= 2 * mebibyte)
    assert.equal((await stores.collector().collect()).blocks, 0)
    goOn()
    await appended
    await pushed
    await stores.uploads.commit('a', running, sha256(blob), stream(Buffer.alloc(0)))
    assert.ok((await readBlob('a', sha256(blob))).equals(blob))
    assert.ok((await readBlob('b', sha256(other))).equals(other))
    await stores.repository('a').deleteBlob(sha256(blob))
    for (const [id, from] of [
      [saved, 2 * mebibyte + 7],
      [open, mebibyte + 9],
    ] as const) {
      await stores.uploads.commit('a', id, sha256(blob), stream(blob.subarray(from)))
      assert.ok((await readBlob('a', sha256(blob))).equals(blob))
      await stores.repository('a').deleteBlob(sha256(blob))
    }
    await stores.collector().collect()
    await assertOnlyNeeded()
  })

  it("deletes no block where it can't tell what is reachable", async () => {
    const layer = randomBytes(2 * mebibyte, 'layer')
    const { root, digest } = await pushImage('a', 'v1', [layer])
    await stores.content.add(randomBytes(100, 'garbage'))
    const before = await blocksOnDisk(stores)
    const { cid } = (await stores.index.blob(sha256(layer)))!
    const name = base32upper.encode(CID.parse(cid).multihash.bytes)
    await rm(join(stores.blocks, name.slice(-2), `${name}.data`))
    const reason = 'blocks are missing, and what is below them is not known: no block was deleted'
    await assert.rejects(stores.collector().collect(), {
      code: 'UNAVAILABLE',
      detail: { reason, missing: 1, cids: [cid] },
    })
    before.delete(name)
    assert.deepEqual(await blocksOnDisk(stores), before)
    assert.ok(stores.logged.some(({ message }) => message === 'garbage not collected'))
    assert.notEqual(root, cid)
    // the image can't be pulled any more: once it is deleted, or pushed again, all is well
    await stores.pushBlob('a', layer)
    assert.ok((await stores.collector().collect()).blocks > 0)
    await assertOnlyNeeded()
    await stores.repository('a').deleteManifest({ digest })
    await stores.collector().collect()
    assert.equal((await blocksOnDisk(stores)).size, 0)
  })

  it("ends with an error where the index can't be read, and deletes nothing", async () => {
    await stores.pushBlob('a', randomBytes(100, 'x'))
    await stores.content.add(randomBytes(100, 'garbage'))
    const before = await blocksOnDisk(stores)
    stores.index.manifests = (() => {
      throw new SyntaxError('damaged')
    }) as never
    await pushFails()
    assert.deepEqual(await blocksOnDisk(stores), before)

    async function pushFails(): Promise<void> {
      await stores.index.change().putRepository('a').commit({ durable: false })
      await assert.rejects(stores.collector().collect(), { name: 'SyntaxError' })
    }
  })

  it('keeps an image of several platforms whole, and what refers to it', async () => {
    const layers = ['amd64', 'arm64'].map(platform => randomBytes(mebibyte + 1, platform))
    await stores.pushEmptyConfig('multi')
    const children: Buffer[] = []
    for (const layer of layers) {
      await stores.pushBlob('multi', layer)
      children.push(imageManifest({ layers: [descriptorOf(layer)] }))
      await stores.pushManifest('multi', sha256(children.at(-1)!), children.at(-1)!)
    }
    const index = imageIndex(children.map(child => descriptorOf(child, ociManifest)))
    await stores.pushManifest('multi', 'latest', index, ociIndex)
    const signature = imageManifest({ subject: descriptorOf(index, ociIndex), artifactType: 'example/signature' })
    await stores.pushManifest('multi', sha256(signature), signature)
    const dangling = imageManifest({ annotations: { no: 'tag' } })
    await stores.pushManifest('multi', sha256(dangling), dangling)
    assert.equal((await stores.collector().collect()).manifests, 0)
    const { manifests } = await stores.collector({ untagged: 0 }).collect()
    assert.equal(manifests, 1)
    const digests = [...children, index, signature].map(sha256).sort()
    assert.deepEqual(
      (await Array.fromAsync(stores.index.manifests('multi'))).map(({ digest }) => digest).sort(),
      digests,
    )
    await assertOnlyNeeded()
    // without its tag, nothing is left
    await stores.repository('multi').deleteManifest({ tag: 'latest' })
    await until(
      'a millisecond has passed',
      async () => (await stores.collector({ untagged: 0 }).collect()).manifests === 4,
    )
    assert.deepEqual((await stores.registry.repositories({ limit: 10, last: undefined }, trusted)).items, [])
    await stores.collector().collect()
    assert.equal((await blocksOnDisk(stores)).size, 0)
  })

  it('leaves manifests without a tag in repositories that rules of retention protect', async () => {
    const isProtected = wholeProtection([
      { images: ['prod/**'], protect: true },
      { images: ['part:v*'], protect: true },
      { images: ['other/**'], keep: { last: 1 } },
    ])
    const repositories = ['prod/app', 'part', 'other/app']
    for (const repository of repositories) {
      await pushImage(repository, 'v1', [])
      await stores.repository(repository).deleteManifest({ tag: 'v1' })
    }
    const left = async (): Promise<string[]> => {
      return (await stores.registry.repositories({ limit: 10, last: undefined }, trusted)).items
    }
    await until('a millisecond has passed', async () => {
      await stores.collector({ untagged: 0, isProtected }).collect()
      return (await left()).length < repositories.length
    })
    assert.deepEqual(await left(), ['prod/app'])
  })

  it('counts the time of a manifest from when it lost its tag', async () => {
    const { digest } = await pushImage('a', 'v1', [])
    const record = (await stores.index.manifest('a', digest))!
    const longAgo = new Date(Date.now() - 3_600_000).toISOString()
    const age = async (): Promise<void> => {
      await stores.index
        .change()
        .putManifest('a', digest, { ...record, updated: longAgo })
        .commit({ durable: true })
    }
    const collector = stores.collector({ untagged: 60_000 })
    await age()
    assert.equal((await collector.collect()).manifests, 0)
    await pushImage('a', 'v1', [randomBytes(10, 'next')])
    assert.equal((await collector.collect()).manifests, 0)
    await age()
    assert.equal((await collector.collect()).manifests, 1)
    // nobody knows how old it is
    const old = await pushImage('a', 'v2', [])
    const { updated: _, ...older } = (await stores.index.manifest('a', old.digest))!
    await stores.repository('a').deleteManifest({ tag: 'v2' })
    await stores.index.change().putManifest('a', old.digest, older).commit({ durable: true })
    assert.equal((await stores.collector({ untagged: 0 }).collect()).manifests, 0)
  })

  it('keeps the directory of tags, but not deleted images for its sake', async () => {
    const layer = randomBytes(2 * mebibyte, 'deleted')
    const { digest } = await pushImage('a/b', 'v1', [layer])
    await pushImage('a/b', 'v2', [])
    const publisher = new Publisher(
      {
        condition: stores.condition,
        content: stores.content,
        index: stores.index,
        log: stores.log,
        names: { publish: async () => ({ name: 'k51', sequence: 1 }) },
      },
      { automatic: false },
    )
    const { cid } = await publisher.publish()
    await stores.repository('a/b').deleteManifest({ digest })
    assert.ok((await stores.collector({}, { publisher }).collect()).bytes >= layer.byteLength)
    assert.equal((await stores.content.find(cid, ['cids', 'a', 'b', 'v1']))?.type, 'file')
    await assert.rejects(stores.content.find(cid, ['images', 'a', 'b', 'v1']), { name: 'NotFoundError' })
    assert.equal((await stores.content.find(cid, ['images', 'a', 'b', 'v2', 'oci-layout']))?.type, 'file')
    publisher.tagged('a/b')
    const { cid: next } = await publisher.publish()
    await stores.collector({}, { publisher }).collect()
    await assert.rejects(stores.content.find(cid, []), { name: 'NotFoundError' })
    assert.equal((await stores.content.find(next, ['images', 'a', 'b', 'v2', 'oci-layout']))?.type, 'file')
    await publisher.stop()
  })

  it('waits for a publication that stores blocks', async () => {
    const { digest } = await pushImage('a', 'v1', [])
    const publisher = new Publisher(
      {
        condition: stores.condition,
        content: stores.content,
        index: stores.index,
        log: stores.log,
        names: { publish: async () => ({ name: 'k51', sequence: 1 }) },
      },
      { automatic: false },
    )
    const { sync } = stores.content
    const [stored, collecting] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    stores.content.sync = async () => {
      stored.resolve()
      await collecting.promise
      await sync.call(stores.content)
    }
    const publishing = publisher.publish()
    await stored.promise
    const collected = stores
      .collector(
        {},
        {
          publisher: {
            settled: async () => {
              collecting.resolve()
              await publisher.settled()
            },
          },
        },
      )
      .collect()
    await collected
    // where nobody has waited, it goes on now
    collecting.resolve()
    const { cid } = await publishing
    assert.equal(
      (await readAll(stores.content.read((await stores.content.find(cid, ['cids', 'a', 'v1']))!.cid))).toString(),
      (await stores.index.manifest('a', digest))!.root,
    )
    await publisher.stop()
  })

  it('waits for a manifest whose blocks are stored, and which is not in the index yet', async () => {
    // nothing else has it wait for the repository
    await stores.reopen({ unreferenced: 60_000 })
    await stores.pushEmptyConfig('a')
    const { sync } = stores.content
    const [stored, looked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    stores.content.sync = async () => {
      stored.resolve()
      await looked.promise
      await sync.call(stores.content)
    }
    const bytes = imageManifest({ annotations: { on: 'its way' } })
    const pushed = stores.pushManifest('a', 'v1', bytes)
    await stored.promise
    const collected = stores.collector().collect()
    assert.equal(await Promise.race([collected.then(() => 'collected'), sleep(100, 'waiting')]), 'waiting')
    looked.resolve()
    await collected
    const { read, root } = await pushed
    assert.deepEqual(Buffer.from(await read()), bytes)
    assert.equal((await stores.content.find(root, ['manifests', 'latest']))?.type, 'file')
  })

  it('runs one cycle at a time; those who ask meanwhile share the next', async () => {
    await pushImage('a', 'v1', [randomBytes(10, 'x')])
    let running = 0
    let cycles = 0
    const publisher = {
      settled: async () => {
        assert.equal(++running, 1)
        cycles++
        await new Promise(resolve => {
          setImmediate(resolve)
        })
        running--
      },
    }
    const collector = stores.collector({}, { publisher })
    const first = collector.collect()
    await until('it runs', () => cycles === 1 || running === 1)
    const results = await Promise.all([
      first,
      collector.collect(),
      collector.collect(),
      collector.collect({ dryRun: true }),
    ])
    assert.equal(cycles, 3)
    assert.equal(results[1], results[2])
    assert.deepEqual(
      results.map(({ dryRun }) => dryRun),
      [false, false, false, true],
    )
  })

  it('runs by itself, and stops cleanly in the middle', async () => {
    await pushImage('a', 'v1', [randomBytes(10, 'x')])
    const waiting = Promise.withResolvers<void>()
    const collector = stores.collector(
      { interval: 1 },
      {
        publisher: {
          settled: async () => {
            waiting.resolve()
            await new Promise(() => {})
          },
        },
      },
    )
    await collector.start()
    await waiting.promise
    const asked = collector.collect()
    const refused = assert.rejects(asked, { code: 'UNAVAILABLE', detail: { reason: 'the server stops' } })
    await collector.stop()
    await refused
    await assertOnlyNeeded()
  })

  it('tells how far it is', async () => {
    await pushImage('a', 'v1', [randomBytes(10, 'x')])
    await stores.content.add(randomBytes(100, 'garbage'))
    const phases = new Set<string>()
    let last: unknown
    await stores.collector().collect({
      onProgress: progress => {
        phases.add(progress.phase)
        last = progress
      },
    })
    assert.deepEqual([...phases], ['index', 'mark', 'sweep'])
    // two blobs, the bytes of a manifest and its image root
    const blocks = await Array.fromAsync(stores.blockstore.getAll())
    const counts = { checked: blocks.length + 1, total: blocks.length + 1 }
    assert.deepEqual(last, { phase: 'sweep', roots: 3, blocks: 1, bytes: 100, ...counts })
  })
})
