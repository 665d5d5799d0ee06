import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { Digest } from '../../../../src/oci/digest.ts'
import { everything } from '../../../../src/oci/pagination.ts'
import type { CollectionResult } from '../../../../src/upkeep/gc/garbage-collector.ts'
import { pullsEverything } from '../../../../src/access/rules/puller.ts'
import { BlockAccess } from '../../../../src/registry/sharing/block-access.ts'
import { KnownDigests } from '../../../../src/registry/sharing/known-digests.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { descriptorOf, imageIndex, imageManifest, ociIndex, ociManifest } from '../../../fixtures/manifests.ts'
import { blocksBelow } from '../../../fixtures/reachable.ts'
import { readDescriptor } from '../../../../src/registry/referrer.ts'
import { readAll, TestRegistry } from '../../../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const day = 24 * 60 * 60 * 1000
const noGrace = { recent: 0, unreferenced: 0, history: {} }

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open(noGrace)
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function pushImage(repository: string, tag: string, layer: Buffer): Promise<{ digest: Digest; root: string }> {
  await stores.pushEmptyConfig(repository)
  await stores.pushBlob(repository, layer)
  return await stores.pushManifest(repository, tag, imageManifest({ layers: [descriptorOf(layer)] }))
}

async function collect(keep = day, untagged?: number): Promise<CollectionResult> {
  // what was asked for a moment ago counts as needed
  await sleep(2)
  return await stores.collector({ historyKeep: keep, untagged }).collect()
}

async function digestOf(repository: string, reference: { tag: string } | { digest: Digest }): Promise<string> {
  const found = await stores
    .repository(repository)
    .manifest(reference)
    .catch((err: { code: string }) => err.code)
  return typeof found === 'string' ? found : found.digest
}

async function readBlob(repository: string, digest: Digest): Promise<Buffer> {
  return await readAll((await stores.repository(repository).blob(digest)).read())
}

describe('undo', () => {
  it('brings a deleted image back after garbage was collected, with its CID and blobs', async () => {
    const layer = randomBytes(2 * mebibyte + 1, 'layer')
    const { digest, root } = await pushImage('app', 'v1', layer)
    await stores.repository('app').deleteManifest({ digest })
    await collect()
    assert.equal(await digestOf('app', { tag: 'v1' }), 'MANIFEST_UNKNOWN')
    await assert.rejects(stores.repository('app').blob(sha256(layer)), { code: 'BLOB_UNKNOWN' })
    assert.deepEqual(await Array.fromAsync(stores.index.repositories(everything)), [])

    const undone = await stores.undo.undo({ repository: 'app' })
    assert.deepEqual(undone.tags, [{ tag: 'v1', before: undefined, after: digest }])
    assert.deepEqual(undone.restored, [digest])
    assert.equal((await stores.repository('app').manifest({ tag: 'v1' })).root, root)
    assert.ok((await readBlob('app', sha256(layer))).equals(layer))
    assert.deepEqual(await Array.fromAsync(stores.index.repositories(everything)), ['app'])
    assert.ok(await stores.index.hasManifestBlocks('app', digest), 'peers find its blocks by the index')

    // it is as needed as ever: nothing of it depends on the history any more
    await collect(0)
    assert.ok((await readBlob('app', sha256(layer))).equals(layer))
  })

  it('frees the room of what was deleted once it is too old', async () => {
    const before = await bytesOnDisk(stores.blocks)
    const { digest } = await pushImage('app', 'v1', randomBytes(2 * mebibyte, 'layer'))
    await stores.repository('app').deleteManifest({ digest })
    const full = await bytesOnDisk(stores.blocks)
    assert.equal((await collect()).bytes, 0)
    assert.equal(await bytesOnDisk(stores.blocks), full)
    await sleep(10)
    await collect(5)
    assert.equal(await bytesOnDisk(stores.blocks), before)
    await assert.rejects(stores.undo.undo({ repository: 'app' }), { code: 'REQUEST_INVALID' })
    await assert.rejects(stores.undo.undo({ repository: 'app', to: 1 }), { code: 'REQUEST_INVALID' })
  })

  it('moves a tag back, and forth again', async () => {
    const old = await pushImage('app', 'v1', Buffer.from('old'))
    const young = await pushImage('app', 'v1', Buffer.from('young'))
    for (const digest of [old.digest, young.digest, old.digest]) {
      await stores.undo.undo({ repository: 'app', tag: 'v1' })
      assert.equal(await digestOf('app', { tag: 'v1' }), digest)
    }
    assert.equal(await digestOf('app', { digest: young.digest }), young.digest)
  })

  it('brings back what garbage collection has deleted since, with platforms and referrers', async () => {
    const platform = await pushImage('app', 'platform', Buffer.from('platform'))
    await stores.repository('app').deleteManifest({ tag: 'platform' })
    const bytes = imageManifest({ layers: [descriptorOf(Buffer.from('platform'))] })
    const index = imageIndex([descriptorOf(bytes, ociManifest)])
    const { digest } = await stores.pushManifest('app', 'multi', index, ociIndex)
    const signature = imageManifest({ subject: descriptorOf(index, ociIndex), annotations: { by: 'me' } })
    await stores.pushManifest('app', sha256(signature), signature)
    const young = await pushImage('app', 'multi', Buffer.from('young'))
    await sleep(2)
    const { manifests } = await collect(day, 1)
    assert.equal(manifests, 3)
    assert.equal(await digestOf('app', { digest: platform.digest }), 'MANIFEST_UNKNOWN')

    await stores.undo.undo({ repository: 'app', tag: 'multi' })
    assert.equal(await digestOf('app', { tag: 'multi' }), digest)
    assert.equal(await digestOf('app', { digest: platform.digest }), platform.digest)
    assert.ok((await readBlob('app', sha256(Buffer.from('platform')))).equals(Buffer.from('platform')))
    const { items } = await stores.repository('app').referrers(digest, everything)
    assert.deepEqual(
      items.map(item => [item.digest, readDescriptor(item).annotations]),
      [[sha256(signature), { by: 'me' }]],
    )
    assert.equal(await digestOf('app', { digest: young.digest }), young.digest)
  })

  it('a dry run of garbage collection frees as much as the run after it', async () => {
    await pushImage('app', 'v1', randomBytes(mebibyte, 'old'))
    await pushImage('app', 'v1', randomBytes(mebibyte, 'young'))
    await stores.pushBlob('app', randomBytes(mebibyte, 'garbage'))
    await sleep(2)
    for (const historyKeep of [day, 1]) {
      const collector = stores.collector({ historyKeep, untagged: 1 })
      const { seconds: _, dryRun: __, ...dry } = await collector.collect({ dryRun: true })
      const { seconds: ___, dryRun: ____, ...real } = await collector.collect()
      assert.deepEqual(dry, real)
      assert.ok(real.bytes >= mebibyte, `${real.bytes} bytes`)
      await sleep(2)
    }
  })

  it('gives a repository the blob back that somebody deleted', async () => {
    const layer = Buffer.from('layer')
    await pushImage('app', 'v1', layer)
    await stores.repository('app').deleteBlob(sha256(layer))
    await collect()
    await assert.rejects(stores.repository('app').blob(sha256(layer)), { code: 'BLOB_UNKNOWN' })
    await stores.undo.undo({ repository: 'app' })
    assert.ok((await readBlob('app', sha256(layer))).equals(layer))
  })

  it('gives no repository a blob that it never had', async () => {
    const secret = Buffer.from('secret')
    await stores.reopen({ missingBlobs: 'accept' })
    await pushImage('other', 'v1', secret)
    await stores.pushEmptyConfig('app')
    const thief = imageManifest({ layers: [descriptorOf(secret)], annotations: { thief: 'yes' } })
    const { digest } = await stores.pushManifest('app', 'v1', thief)
    await stores.repository('app').deleteManifest({ digest })
    await stores.undo.undo({ repository: 'app' })
    assert.equal(await digestOf('app', { tag: 'v1' }), digest)
    await assert.rejects(stores.repository('app').blob(sha256(secret)), { code: 'BLOB_UNKNOWN' })
  })

  it('leaves a tag alone that was pushed again meanwhile, unless it is asked for', async () => {
    const old = await pushImage('app', 'v1', Buffer.from('old'))
    await stores.repository('app').deleteManifest({ tag: 'v1' })
    const { state } = (await stores.historyLog.list({ limit: 1 })).changes[0]!
    const young = await pushImage('app', 'v1', Buffer.from('young'))
    await stores.undo.undo({ repository: 'app', tag: 'v1' })
    assert.equal(await digestOf('app', { tag: 'v1' }), 'MANIFEST_UNKNOWN')
    await stores.undo.undo({ repository: 'app', tag: 'v1', to: state - 1 })
    assert.equal(await digestOf('app', { tag: 'v1' }), old.digest)
    assert.equal(await digestOf('app', { digest: young.digest }), young.digest)
  })

  it('takes its turn among pushes and deletes: each change begins where the one before it ended', async () => {
    await pushImage('app', 'v1', Buffer.from('0'))
    await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const work =
          i % 3 === 0
            ? pushImage('app', 'v1', Buffer.from(String(i)))
            : i % 3 === 1
              ? stores.undo.undo({ repository: 'app', tag: i % 2 === 0 ? 'v1' : undefined })
              : stores.repository('app').deleteManifest({ tag: 'v1' })
        await work.catch((err: { code: string }) => {
          assert.match(err.code, /^(MANIFEST_UNKNOWN|REQUEST_INVALID)$/)
        })
      }),
    )
    const changes = await Array.fromAsync(stores.index.history.changesOf('app'))
    const moves = changes.flatMap(({ record }) => record.tags).reverse()
    assert.ok(moves.length > 10, `${moves.length} moves`)
    let now: string | undefined
    for (const { before, after } of moves) {
      assert.equal(before?.digest, now)
      now = after?.digest
    }
    assert.equal((await stores.index.tag('app', 'v1'))?.digest, now)
    await stores.undo.undo({ repository: 'app', to: changes.at(-1)!.state })
    assert.equal(await digestOf('app', { tag: 'v1' }), moves[0]!.after!.digest)
  })

  it('refuses a state that is not known, and one whose content is lost, and changes nothing', async () => {
    const layer = Buffer.from('layer')
    const { digest } = await pushImage('app', 'v1', layer)
    await stores.repository('app').deleteManifest({ digest })
    await assert.rejects(stores.undo.undo({ repository: 'app', to: 1000 }), { code: 'REQUEST_INVALID' })
    await assert.rejects(stores.undo.undo({ repository: 'nothing' }), { code: 'REQUEST_INVALID' })
    await stores.index.change().deleteBlob(sha256(layer)).commit({ durable: false })
    await assert.rejects(stores.undo.undo({ repository: 'app' }), { code: 'MANIFEST_BLOB_UNKNOWN' })
    assert.equal(await digestOf('app', { tag: 'v1' }), 'MANIFEST_UNKNOWN')
  })

  it('survives a crash: the numbers go on, and a change is there with what it did', async () => {
    const { digest } = await pushImage('app', 'v1', Buffer.from('layer'))
    await stores.repository('app').deleteManifest({ digest })
    await stores.reopen()
    await pushImage('other', 'v1', Buffer.from('layer'))
    assert.deepEqual(
      (await stores.historyLog.list({ limit: 10 })).changes.map(({ action, repository, state }) => [
        state,
        action,
        repository,
      ]),
      [
        [3, 'push', 'other'],
        [2, 'delete', 'app'],
        [1, 'push', 'app'],
      ],
    )
    await stores.undo.undo({ repository: 'app' })
    assert.equal(await digestOf('app', { tag: 'v1' }), digest)
  })

  it('can forget a repository, so that its content can be freed', async () => {
    const before = await bytesOnDisk(stores.blocks)
    const { digest } = await pushImage('app', 'v1', randomBytes(2 * mebibyte, 'secret'))
    await stores.repository('app').deleteManifest({ digest })
    assert.equal(await stores.undo.forget('app'), 2)
    assert.equal(await stores.undo.forget('app'), 0)
    await collect()
    assert.equal(await bytesOnDisk(stores.blocks), before)
    await assert.rejects(stores.undo.undo({ repository: 'app' }), { code: 'REQUEST_INVALID' })
    await assert.rejects(stores.undo.undo({ repository: 'app', to: 1 }), /REQUEST_INVALID|malformed/)
  })

  it('records nothing where it is turned off', async () => {
    await using off = await TestRegistry.open()
    await off.pushEmptyConfig('app')
    const { digest } = await off.pushManifest('app', 'v1', imageManifest())
    await off.repository('app').deleteManifest({ digest })
    assert.equal(await off.index.history.last(), 0)
    await assert.rejects(off.undo.undo({ repository: 'app' }), { code: 'UNSUPPORTED' })
  })
})

describe('the history', () => {
  it('tells what differs between two states, either way', async () => {
    const old = await pushImage('app', 'v1', Buffer.from('old'))
    const young = await pushImage('app', 'v1', Buffer.from('young'))
    await stores.repository('app').deleteManifest({ digest: old.digest })
    const log = stores.historyLog
    assert.deepEqual(await log.diff(1, 3), {
      from: 1,
      to: 3,
      tags: [{ repository: 'app', tag: 'v1', before: old.digest, after: young.digest }],
      manifests: [
        { repository: 'app', digest: old.digest, before: old.root, after: undefined },
        { repository: 'app', digest: young.digest, before: undefined, after: young.root },
      ].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    })
    const { tags } = await log.diff(3, 1)
    assert.deepEqual(tags, [{ repository: 'app', tag: 'v1', before: young.digest, after: old.digest }])
    assert.deepEqual((await log.diff(2, 2)).tags, [])
    await assert.rejects(log.diff(1, 4), { code: 'REQUEST_INVALID' })
  })

  it('tells who made a change, and lists those of a tag', async () => {
    const alice = stores.registry.localRepository('app', { by: 'alice' })
    await stores.pushEmptyConfig('app')
    const bytes = imageManifest()
    await alice.putManifest({ reference: { tag: 'v1' }, bytes, contentType: ociManifest, tags: ['v2'] })
    await alice.putManifest({ reference: { tag: 'v1' }, bytes, contentType: ociManifest, tags: [] })
    await alice.deleteManifest({ tag: 'v2' })
    const { changes } = await stores.historyLog.list({ repository: 'app', tag: 'v1', limit: 10 })
    assert.deepEqual(
      changes.map(({ by, tags }) => [by, tags.map(({ tag }) => tag)]),
      [['alice', ['v1', 'v2']]],
    )
    assert.equal((await stores.historyLog.list({ repository: 'app', limit: 1 })).more, true)
  })

  it('of a repository is bounded, and costs no other one its own', async () => {
    await stores.reopen({ history: { maxChanges: 100 } })
    await pushImage('victim', 'v1', Buffer.from('victim'))
    const [a, b] = [await pushImage('app', 'v1', Buffer.from('a')), await pushImage('app', 'v1', Buffer.from('b'))]
    const moved = imageManifest({ layers: [descriptorOf(Buffer.from('a'))] })
    const other = imageManifest({ layers: [descriptorOf(Buffer.from('b'))] })
    for (let i = 0; i < 500; i++) {
      await stores.pushManifest('app', 'v1', i % 2 === 0 ? moved : other)
    }
    const changes = await Array.fromAsync(stores.index.history.changesOf('app'))
    assert.ok(changes.length >= 100 && changes.length <= 112, `${changes.length} changes`)
    assert.equal((await Array.fromAsync(stores.index.history.order())).length, changes.length + 1)
    assert.equal((await stores.historyLog.list({ repository: 'victim', limit: 10 })).changes.length, 1)
    const last = changes[0]!.state
    await stores.undo.undo({ repository: 'app', to: last - 99 })
    assert.ok([a.digest, b.digest].includes((await digestOf('app', { tag: 'v1' })) as Digest))
    await assert.rejects(stores.undo.undo({ repository: 'app', to: last - 200 }), { code: 'REQUEST_INVALID' })
  })

  it('gives way where there is no room, the oldest deletions first', async () => {
    const images = [
      await pushImage('first', 'v1', randomBytes(2 * mebibyte, 'first')),
      await pushImage('second', 'v1', randomBytes(2 * mebibyte, 'second')),
    ]
    await stores.repository('first').deleteManifest({ digest: images[0]!.digest })
    await stores.repository('second').deleteManifest({ digest: images[1]!.digest })
    await sleep(2)
    const collector = stores.collector({ historyKeep: day })
    collector.pressure.full(mebibyte)
    collector.pressure.stop()
    await collector.collect()
    await assert.rejects(stores.undo.undo({ repository: 'first' }), { code: 'REQUEST_INVALID' })
    await stores.undo.undo({ repository: 'second' })
    assert.equal(await digestOf('second', { tag: 'v1' }), images[1]!.digest)
  })

  it('keeps no garbage from being collected where what it keeps is damaged', async () => {
    const layer = randomBytes(2 * mebibyte, 'layer')
    const { digest } = await pushImage('app', 'v1', layer)
    const { cid } = (await stores.index.blob(sha256(layer)))!
    await stores.blockstore.delete(CID.parse(cid))
    await assert.rejects(collect(), { code: 'UNAVAILABLE' })
    await stores.repository('app').deleteManifest({ digest })
    await stores.pushBlob('other', randomBytes(mebibyte, 'garbage'))
    assert.ok((await collect()).bytes >= mebibyte)
  })

  it('keeps what is deleted from everybody, until it is back', async () => {
    const layer = randomBytes(2 * mebibyte + 1, 'layer')
    const { digest, root } = await pushImage('app', 'v1', layer)
    const blocks = Array.from(await blocksBelow(stores, [root]), name =>
      CID.decode(Buffer.concat([Buffer.of(1, 0x55), base32upper.decode(name)])),
    )
    const isOpen = async (): Promise<boolean[]> => {
      const { blockstore, condition, index } = stores
      const components = { blockstore, condition, index, withheld: index.history }
      const access = new BlockAccess(components)
      const known = new KnownDigests({ ...components, puller: () => pullsEverything })
      return [
        ...(await Promise.all(blocks.map(async cid => await access.mayPeerFetch(pullsEverything, cid)))),
        (await known.answer('12D3', sha256(layer))) !== undefined,
        await stores.repository('friend').mountBlob(sha256(layer), undefined),
      ]
    }
    assert.ok(blocks.length > 8)
    await stores.repository('app').deleteManifest({ digest })
    await collect()
    assert.deepEqual(new Set(await isOpen()), new Set([false]))
    await stores.reopen()
    assert.deepEqual(new Set(await isOpen()), new Set([false]), 'after a restart')
    await stores.undo.undo({ repository: 'app' })
    assert.deepEqual(new Set(await isOpen()), new Set([true]))
  })

  it('answers at once where nothing is kept', async () => {
    await pushImage('app', 'v1', Buffer.from('layer'))
    assert.equal(await stores.index.history.isWithheld(new Uint8Array(32)), false)
    assert.equal(stores.index.history.isWithheld(new Uint8Array(32)), false)
  })
})
