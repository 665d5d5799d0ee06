import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { LevelDatastore } from 'datastore-level'
import fc from 'fast-check'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { CidStore } from '../../../src/registry/tags/cid-store.ts'
import { IndexRebuilder } from '../../../src/upkeep/rebuild/index-rebuilder.ts'
import { applianceOver } from '../../fixtures/backups.ts'
import { randomBytes, sha256 } from '../../fixtures/images.ts'
import { descriptorOf, emptyJson, imageIndex, imageManifest, ociIndex, ociManifest } from '../../fixtures/manifests.ts'
import { blocksBelow } from '../../fixtures/reachable.ts'
import { TestRegistry } from '../../fixtures/registry.ts'

const mebibyte = 1024 * 1024
const everything = { limit: -1, last: undefined }
const start = randomBytes(mebibyte, 'start')
/** Some of one block, some of several that share one; the last is a node of the first of those, as bytes */
const blobs = [
  emptyJson,
  Buffer.alloc(0),
  randomBytes(20, 'a'),
  start,
  Buffer.concat([start, randomBytes(5, 'b')]),
  Buffer.concat([start, start, randomBytes(70, 'c')]),
]
const repositories = ['a', 'a/b', 'public']
/** The last one has what a rebuild finds and no tag leads to */
const all = [...repositories, 'recovered']

/**
 * The repositories of each block, by a walk that has nothing in common with how the index gets to know it: links lead
 * to blobs, manifests to their bytes and to what their image roots have beside other files
 */
async function ownersByWalk(stores: TestRegistry): Promise<Map<string, string[]>> {
  const owners = new Map<string, Set<string>>()
  const add = (repository: string, names: Iterable<string>): void => {
    for (const name of names) {
      owners.set(name, (owners.get(name) ?? new Set()).add(repository))
    }
  }
  for await (const { repository, digest } of stores.index.links()) {
    const record = await stores.index.blob(digest)
    add(repository, record === undefined ? [] : await blocksBelow(stores, [record.cid]))
  }
  for await (const repository of stores.index.repositories(everything)) {
    for await (const { record } of stores.index.manifests(repository)) {
      add(repository, await blocksBelow(stores, [record.cid]))
      add(repository, await directoriesOf(stores, CID.parse(record.root)))
    }
  }
  return new Map(Array.from(owners, ([name, found]) => [name, all.filter(name => found.has(name))]))
}

async function directoriesOf(stores: TestRegistry, root: CID): Promise<string[]> {
  const names: string[] = []
  const visit = async (cid: CID): Promise<Map<string, CID>> => {
    names.push(base32upper.encode(cid.multihash.bytes))
    const { Links } = dagPb.decode(await stores.blockstore.read(cid))
    return new Map(Links.map(({ Name, Hash }) => [Name!, Hash]))
  }
  const top = await visit(root)
  for (const name of ['index.json', 'oci-layout']) {
    names.push(base32upper.encode(top.get(name)!.multihash.bytes))
  }
  await visit(top.get('manifests')!)
  const inBlobs = await visit(top.get('blobs')!)
  for (const algorithm of ['sha256', 'sha512']) {
    const directory = inBlobs.get(algorithm)
    await (directory === undefined ? undefined : visit(directory))
  }
  return names
}

async function ownersByIndex(stores: TestRegistry, cid: CID): Promise<string[]> {
  const owned = []
  for (const repository of all) {
    if (await stores.index.isOwned(cid.multihash.digest, other => other === repository)) {
      owned.push(repository)
    }
  }
  return owned
}

async function compare(stores: TestRegistry): Promise<void> {
  const walked = await ownersByWalk(stores)
  for await (const cid of stores.files.list()) {
    const name = base32upper.encode(cid.multihash.bytes)
    assert.deepEqual(await ownersByIndex(stores, cid), walked.get(name) ?? [], name)
    walked.delete(name)
  }
  assert.deepEqual([...walked], [], 'every block that belongs to something is here')
}

type Step =
  | { kind: 'image'; repository: string; layers: number[]; tag: string }
  | { kind: 'index'; repository: string; tag: string }
  | { kind: 'mount'; repository: string; blob: number }
  | { kind: 'delete'; repository: string; tag: string }
  | { kind: 'deleteBlob'; repository: string; blob: number }
  | { kind: 'collect' | 'rebuild' | 'reopen' | 'older' }

const repository = fc.constantFrom(...repositories)
const tag = fc.constantFrom('x', 'y')
const blob = fc.nat({ max: blobs.length - 1 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('image' as const),
      layers: fc.uniqueArray(blob, { maxLength: 3 }),
      repository,
      tag,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('index' as const), repository, tag }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mount' as const), repository, blob }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), repository, tag }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deleteBlob' as const), repository, blob }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('collect' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('rebuild' as const, 'reopen' as const, 'older' as const) }),
  },
)

function manifestOf(layers: readonly number[]): Buffer {
  return imageManifest({ layers: layers.map(layer => descriptorOf(blobs[layer]!)) })
}

async function run(stores: TestRegistry, step: Step): Promise<void> {
  switch (step.kind) {
    case 'image':
      for (const bytes of [emptyJson, ...step.layers.map(layer => blobs[layer]!)]) {
        await stores.pushBlob(step.repository, bytes)
      }
      await stores.pushManifest(step.repository, step.tag, manifestOf(step.layers))
      return
    case 'index': {
      const manifests = await Array.fromAsync(stores.index.manifests(step.repository))
      const images = manifests.filter(({ record }) => record.mediaType === ociManifest)
      const listed = images.map(({ digest, record }) => ({ mediaType: ociManifest, digest, size: record.size }))
      // one of a platform that is not here: its image root changes once that is pushed
      const missing = descriptorOf(manifestOf([2]), ociManifest)
      await stores.pushManifest(step.repository, step.tag, imageIndex([...listed.slice(0, 2), missing]), ociIndex)
      return
    }
    case 'mount':
      await stores.repository(step.repository).mountBlob(sha256(blobs[step.blob]!), undefined)
      return
    case 'delete':
      await ignoreUnknown(async () => {
        const { digest } = await stores.repository(step.repository).manifest({ tag: step.tag })
        await stores.repository(step.repository).deleteManifest({ digest })
      })
      return
    case 'deleteBlob':
      await ignoreUnknown(async () => stores.repository(step.repository).deleteBlob(sha256(blobs[step.blob]!)))
      return
    case 'collect':
      await stores.collector({ untagged: 0 }).collect({ grace: 0 })
      return
    case 'reopen':
      return await stores.reopen()
    case 'older':
      return await asOlderVersion(stores)
    case 'rebuild':
      return await rebuild(stores)
  }
}

async function ignoreUnknown(work: () => Promise<unknown>): Promise<void> {
  await work().catch((err: unknown) => {
    assert.match(String((err as { code?: unknown }).code), /UNKNOWN$/)
  })
}

/** Leaves in the index what a version without lists of blocks writes, and brings it up to date */
async function asOlderVersion(stores: TestRegistry): Promise<void> {
  await forgetBlocks(stores)
  await stores.reopen()
  assert.equal(stores.condition.hasBlockLists, false)
  await stores.blockLists.run(AbortSignal.timeout(60_000))
  assert.equal(stores.condition.hasBlockLists, true)
}

const prefixes = ['/linked/', '/blob-blocks/', '/manifest-blocks/', '/owner/']

/** @returns the number of keys that there were */
async function forgetBlocks(stores: TestRegistry): Promise<number> {
  const { state, since, records } = (await stores.index.condition())!
  await stores.index.change().putCondition({ state, since, records }).commit({ durable: true })
  await stores.index.close()
  const store = new LevelDatastore(join(stores.directory, 'index'))
  await store.open()
  let count = 0
  for (const prefix of prefixes) {
    const range = { gt: prefix, lt: `${prefix}\uffff` }
    count += (await store.db.keys(range).all()).length
    await store.db.clear(range)
  }
  await store.close()
  return count
}

/** Deletes everything, after which nothing may be left of it */
async function empty(stores: TestRegistry): Promise<void> {
  for (const repository of all) {
    for (const { digest } of await Array.fromAsync(stores.index.manifests(repository))) {
      await stores.repository(repository).deleteManifest({ digest })
    }
  }
  await run(stores, { kind: 'collect' })
  assert.equal(await forgetBlocks(stores), 0, 'keys are left of what was deleted')
  await stores.reopen()
}

async function rebuild(stores: TestRegistry): Promise<void> {
  const store = new CidStore(stores, { directory: join(stores.directory, 'cids'), exclusive: true })
  await store.start()
  await store.idle()
  await store.stop()
  await stores.loseIndex()
  const { blockLists, blockstore, condition, content, index, links, log } = stores
  const rebuilder = new IndexRebuilder({
    ...{ blockLists, blockstore, condition, content, index, links, log },
    access: { isClosed: false },
    cidStore: store,
    publisher: { refresh: () => {} },
    names: { published: async () => undefined },
  })
  await rebuilder.start()
  await rebuilder.rebuild()
  await rebuilder.stop()
}

describe('the repositories of a block', () => {
  it('are by the index what they are by walking, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 12 }), async steps => {
        await using stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
        for (const step of steps) {
          await run(stores, step)
          await compare(stores)
        }
        await empty(stores)
      }),
      { numRuns: Number(process.env['RUNS'] ?? 10), endOnFailure: true },
    )
  })

  it('are known of what was restored from a backup', async () => {
    await using stores = await TestRegistry.open()
    await run(stores, { kind: 'image', repository: 'a', layers: [2, 4], tag: 'x' })
    await run(stores, { kind: 'image', repository: 'public', layers: [4, 5], tag: 'x' })
    await run(stores, { kind: 'index', repository: 'a', tag: 'y' })
    const signal = AbortSignal.timeout(60_000)
    const { bytes } = await applianceOver(stores).backup(async function* () {}, { signal })
    await using other = await TestRegistry.open()
    await applianceOver(other).restore(
      () => bytes,
      () => {},
      { signal },
    )
    await compare(other)
    assert.ok(other.condition.hasBlockLists)
    assert.deepEqual(await ownersByWalk(other), await ownersByWalk(stores))
  })

  it('are not known until they are recorded, and wait for a block that is missing', async () => {
    await using stores = await TestRegistry.open()
    await run(stores, { kind: 'image', repository: 'a', layers: [5], tag: 'x' })
    const { cid } = (await stores.index.blob(sha256(blobs[5]!)))!
    const node = await stores.blockstore.read(CID.parse(cid))
    await forgetBlocks(stores)
    await stores.reopen()
    const { multihash } = CID.parse(cid)
    assert.equal(await stores.index.isOwned(multihash.digest, () => true), false)
    await stores.blockstore.delete(CID.parse(cid))
    await stores.blockLists.run(AbortSignal.timeout(60_000))
    assert.equal(stores.condition.hasBlockLists, false)
    await stores.blockstore.put(CID.parse(cid), node)
    await stores.blockLists.run(AbortSignal.timeout(60_000))
    assert.equal(stores.condition.hasBlockLists, true)
    await compare(stores)
  })
})
