import assert from 'node:assert/strict'
import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import type { Digest } from '../../../../src/oci/digest.ts'
import { CidStore } from '../../../../src/registry/tags/cid-store.ts'
import { IndexRebuilder, type RebuildResult } from '../../../../src/upkeep/rebuild/index-rebuilder.ts'
import { Publisher } from '../../../../src/registry/tags/publisher.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { contentsOf } from '../../../fixtures/contents.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import { leafBlock } from '../../../fixtures/leaf-block.ts'
import {
  descriptorOf,
  encode,
  foreignLayer,
  imageIndex,
  imageManifest,
  ociIndex,
  ociLayer,
  ociManifest,
  sha512,
} from '../../../fixtures/manifests.ts'
import { Power } from '../../../fixtures/power.ts'
import { TestRegistry } from '../../../fixtures/registry.ts'

const mebibyte = 1024 * 1024

let stores: TestRegistry
/** What the IPNS record points to */
let published: string | undefined
/** Whether there are access rules */
let isClosed: boolean

beforeEach(async () => {
  published = undefined
  isClosed = false
  stores = await TestRegistry.open({ recent: 0, unreferenced: 0 })
})
afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

function cidStore(): CidStore {
  return new CidStore(stores, { directory: join(stores.directory, 'cids'), exclusive: true })
}

/** Brings the files of all tags up to date, as a server does that starts */
async function fillCidStore(): Promise<void> {
  const store = cidStore()
  await store.start()
  await store.idle()
  await store.stop()
}

function publisher(): Publisher {
  const names = {
    publish: async (cid: string) => {
      published = cid
      return { name: 'k51', sequence: 1 }
    },
  }
  return new Publisher({ ...stores, condition: stores.condition, names }, { automatic: false })
}

/** @param meanwhile is awaited the first time that the file of a tag was read */
async function rebuild(meanwhile: () => Promise<void> | void = () => {}): Promise<RebuildResult> {
  const store = cidStore()
  const read = store.read.bind(store)
  let reads = 0
  store.read = async (...tag) => {
    const found = await read(...tag)
    await (reads++ === 0 ? meanwhile() : undefined)
    return found
  }
  const rebuilder = new IndexRebuilder({
    ...parts(),
    cidStore: store,
    publisher: publisher(),
    names: { published: async () => published },
  })
  try {
    await rebuilder.start()
    return await rebuilder.rebuild()
  } finally {
    await rebuilder.stop()
    await store.stop()
  }
}

function parts() {
  const { blockLists, blockstore, condition, content, index, links, log } = stores
  return { access: { isClosed }, blockLists, blockstore, condition, content, index, links, log }
}

async function pushImage(
  repository: string,
  reference: string,
  layers: readonly Buffer[],
  init: Parameters<typeof imageManifest>[0] = {},
): Promise<{ digest: Digest; bytes: Buffer; root: string }> {
  await stores.pushEmptyConfig(repository)
  for (const layer of layers) {
    await stores.pushBlob(repository, layer)
  }
  const bytes = imageManifest({ layers: layers.map(layer => descriptorOf(layer)), ...init })
  const { digest, root } = await stores.pushManifest(repository, reference === '' ? sha256(bytes) : reference, bytes)
  return { digest, bytes, root }
}

const shared = randomBytes(300_000, 'shared')
const large = randomBytes(3 * mebibyte + 17, 'large')

/** Several of everything */
async function fill(): Promise<void> {
  await pushImage('team/app', 'v1', [shared, large])
  await pushImage('other', 'latest', [large, randomBytes(10, 'own')])
  await pushImage('other', 'same', [large, randomBytes(10, 'own')])
  const amd64 = await pushImage('team/app', '', [shared], { annotations: { arch: 'amd64' } })
  const arm64 = await pushImage('team/app', '', [randomBytes(mebibyte, 'arm64')], { annotations: { arch: 'arm64' } })
  const index = imageIndex([descriptorOf(amd64.bytes, ociManifest), descriptorOf(arm64.bytes, ociManifest)])
  await stores.pushManifest('team/app', 'multi', index, ociIndex)
  const signature = await pushImage('team/app', '', [randomBytes(50, 'signature')], {
    subject: descriptorOf(index, ociIndex),
    artifactType: 'application/example.signature',
    annotations: { by: 'me' },
  })
  await pushImage('team/app', '', [randomBytes(60, 'of the signature')], {
    subject: descriptorOf(signature.bytes, ociManifest),
    artifactType: 'application/example.note',
  })
  await pushImage('team/app', '', [], {
    subject: descriptorOf(amd64.bytes, ociManifest),
    artifactType: 'application/example.note',
  })
  // by sha512, and of a type that the bytes do not name
  const other = randomBytes(2 * mebibyte, 'by sha512')
  await stores.pushBlob('team/app/deep', other, sha512(other))
  await stores.pushEmptyConfig('team/app/deep')
  const { mediaType: _, ...untyped } = JSON.parse(
    imageManifest({ layers: [descriptorOf(other, ociLayer, sha512(other))] }).toString(),
  )
  const bytes = encode(untyped)
  await stores.pushManifest('team/app/deep', sha512(bytes), bytes, ociManifest)
  await stores.pushManifest(
    'team/app/deep',
    'multi',
    imageIndex([descriptorOf(bytes, ociManifest, sha512(bytes))]),
    ociIndex,
  )
}

function blockFile(cid: string): string {
  const name = base32upper.encode(CID.parse(cid).multihash.bytes)
  return join(stores.blocks, name.slice(-2), `${name}.data`)
}

describe('the rebuild of a lost index', () => {
  it('restores what the CID store has tags of, byte for byte', async () => {
    await fill()
    await fillCidStore()
    const before = await contentsOf(stores)
    await stores.loseIndex()
    assert.deepEqual(await contentsOf(stores), {})
    const { seconds: _, ...result } = await rebuild()
    assert.deepEqual(result, {
      whole: true,
      tags: 5,
      manifests: 10,
      blobs: 11,
      recovered: [],
      partial: 0,
      absent: [],
      problems: [],
    })
    assert.deepEqual(await contentsOf(stores), before)
    await stores.reopen()
    assert.deepEqual(await contentsOf(stores), before)
    const { blocks } = await stores.collector().collect()
    assert.equal(blocks, 0)
  })

  it('restores it from what was published last, where there is no CID store', async () => {
    await fill()
    await publisher().publish()
    const before = await contentsOf(stores)
    await stores.loseIndex()
    assert.equal((await rebuild()).tags, 5)
    assert.deepEqual(await contentsOf(stores), before)
  })

  it('believes no directory of tags but the one that its own record names', async () => {
    const { digest } = await pushImage('a', 'v1', [shared])
    await publisher().publish()
    published = undefined
    await stores.loseIndex()
    const { recovered, tags, whole } = await rebuild()
    assert.deepEqual({ recovered, tags, whole }, { recovered: [digest], tags: 0, whole: true })
  })

  it('takes a tag that the CID store has no place for from what was published, and no other', async () => {
    await pushImage('team', 'app', [shared])
    await pushImage('other', 'v1', [shared])
    await pushImage('other', 'deleted', [shared])
    await fillCidStore()
    await pushImage('team/app', 'v1', [large])
    const store = cidStore()
    await store.update('team/app', 'v1')
    // the directory that is published has the repository in the place where the file of the tag is
    await publisher().publish()
    await stores.repository('other').deleteManifest({ tag: 'deleted' })
    await store.update('other', 'deleted')
    const before = await contentsOf(stores)
    await stores.loseIndex()
    const { tags, whole } = await rebuild()
    assert.deepEqual([tags, whole], [3, true])
    assert.deepEqual(await contentsOf(stores), before)
  })

  it('believes no descriptor about what it names', async () => {
    const blob = await stores.pushBlob('a', randomBytes(9, 'listed as a manifest'))
    const artifact = encode({ schemaVersion: 2, blobs: [descriptorOf(randomBytes(9, 'listed as a manifest'))] })
    await stores.pushManifest('a', sha256(artifact), artifact, 'application/vnd.oci.artifact.manifest.v1+json')
    const signed = (await pushImage('a', '', [shared])).bytes
    const index = imageIndex([descriptorOf(artifact, ociManifest), { mediaType: ociManifest, digest: blob, size: 9 }], {
      subject: descriptorOf(signed, ociIndex),
    })
    await stores.pushManifest('a', 'v1', index, ociIndex)
    await fillCidStore()
    const before = await contentsOf(stores)
    await stores.loseIndex()
    const { problems, whole } = await rebuild()
    assert.deepEqual([problems, whole], [[], true])
    assert.deepEqual(await contentsOf(stores), before)
    assert.equal((await stores.collector().collect()).blocks, 0)
  })

  for (const rules of [false, true]) {
    it(`gives a repository ${rules ? 'nothing' : 'all'} that its manifests name and another one has, ${rules ? 'with' : 'without'} rules`, async () => {
      isClosed = rules
      const victim = await pushImage('team/app', 'v1', [shared, large])
      const signature = await pushImage('team/app', '', [randomBytes(50, 'signature')], {
        subject: descriptorOf(victim.bytes, ociManifest),
      })
      const own = randomBytes(100, 'own')
      const layers = [descriptorOf(own)]
      await stores.pushBlob('evil', own)
      await pushImage('evil', 'foreign', [], {
        layers: [...layers, { ...descriptorOf(large, foreignLayer), urls: ['https://example.org/'] }],
      })
      await pushImage('evil', 'extra', [], { layers, extra: [descriptorOf(shared)] } as object)
      await pushImage('evil', 'subject', [], { layers, subject: descriptorOf(victim.bytes, ociManifest) })
      // a referrer without a tag comes with its subject, and names the same
      await pushImage('evil', '', [], {
        layers: [...layers, { ...descriptorOf(large, foreignLayer), urls: ['https://example.org/'] }],
        subject: descriptorOf(imageManifest({ layers, extra: [descriptorOf(shared)] } as object), ociManifest),
      })
      await stores.pushManifest('evil', 'sparse', imageIndex([descriptorOf(victim.bytes, ociManifest)]), ociIndex)
      await fillCidStore()
      await stores.loseIndex()

      const { recovered, tags, whole } = await rebuild()
      const { index } = stores
      assert.deepEqual({ tags, whole }, { tags: 5, whole: true })
      assert.equal(await index.isLinked('evil', sha256(own)), true)
      assert.equal(await index.isLinked('team/app', sha256(large)), true)
      for (const blob of [shared, large]) {
        assert.equal(await index.isLinked('evil', sha256(blob)), !rules)
      }
      assert.equal((await index.manifest('evil', victim.digest)) !== undefined, !rules)
      assert.ok((await index.manifest('team/app', signature.digest)) !== undefined)
      assert.deepEqual(recovered, [])
    })
  }

  it('keeps a subject that was pushed as a blob and as a manifest, whichever of them is deleted', async () => {
    for (const [repository, deleted] of [
      ['a', undefined],
      ['b', 'manifest'],
      ['c', 'blob'],
    ] as const) {
      const { bytes, digest } = await pushImage(repository, 'subject', [shared], { annotations: { repository } })
      await stores.pushBlob(repository, bytes)
      const index = imageIndex([], { subject: descriptorOf(bytes, ociManifest), annotations: { repository } })
      await stores.pushManifest(repository, 'v1', index, ociIndex)
      const local = stores.repository(repository)
      await (deleted === 'manifest' && local.deleteManifest({ digest }))
      await (deleted === 'blob' && local.deleteBlob(digest))
    }
    await fillCidStore()
    const before = await contentsOf(stores)
    await stores.loseIndex()
    assert.ok((await rebuild()).whole)
    const after = await contentsOf(stores)
    for (const [key, value] of Object.entries(before)) {
      assert.deepEqual(after[key], value, key)
    }
  })

  it('keeps an image that no repository claims, with what belongs to it', async () => {
    await pushImage('a', 'v1', [shared])
    const child = await pushImage('a', '', [large], { annotations: { is: 'child' } })
    const index = imageIndex([descriptorOf(child.bytes, ociManifest)])
    const { digest } = await stores.pushManifest('a', sha256(index), index, ociIndex)
    await pushImage('a', '', [], { subject: descriptorOf(index, ociIndex), artifactType: 'application/example.note' })
    await fillCidStore()
    const before = await contentsOf(stores)
    await stores.loseIndex()
    const { recovered, whole } = await rebuild()
    assert.ok(whole)
    assert.ok(recovered.includes(digest))
    const after = await contentsOf(stores)
    const claimed = sha256(imageManifest({ layers: [descriptorOf(shared)] }))
    for (const [key, value] of Object.entries(before).filter(([key]) => key.includes('a@') && !key.includes(claimed))) {
      assert.deepEqual(after[key.replace('a@', 'recovered@')], value)
    }
    assert.deepEqual(after[`recovered blob ${sha256(large)}`], before[`a blob ${sha256(large)}`])
    assert.equal(after['a:v1'], claimed)
    assert.equal(
      (await stores.repository('recovered').referrers(digest, { limit: 10, last: undefined })).items.length,
      1,
    )
    assert.equal((await stores.collector().collect()).blocks, 0)
  })

  it('changes nothing the second time, nor in an index that is whole', async () => {
    await fill()
    await fillCidStore()
    const deleted = await pushImage('deleted', 'v1', [randomBytes(100, 'deleted')])
    await stores.repository('deleted').deleteManifest({ digest: deleted.digest })
    const before = await contentsOf(stores)
    const nothing = {
      whole: true,
      tags: 0,
      manifests: 0,
      blobs: 0,
      recovered: [],
      partial: 0,
      absent: [],
      problems: [],
    }
    const { seconds: _, ...healthy } = await rebuild()
    assert.deepEqual(healthy, nothing)
    assert.deepEqual(await contentsOf(stores), before)
    await stores.loseIndex()
    assert.deepEqual((await rebuild()).recovered, [deleted.digest])
    const once = await contentsOf(stores)
    const { seconds: __, ...twice } = await rebuild()
    assert.deepEqual(twice, nothing)
    assert.deepEqual(await contentsOf(stores), once)
  })

  it('goes on after a crash at any step', async () => {
    await fill()
    await fillCidStore()
    const before = await contentsOf(stores)
    for (let step = 1, crashed = true; crashed; step += 7) {
      await stores.loseIndex()
      let left = step
      const change = stores.index.change.bind(stores.index)
      stores.index.change = () => {
        if (--left < 0) {
          throw new Error('the process ends here')
        }
        return change()
      }
      crashed = await rebuild().then(
        ({ problems }) => problems.length > 0,
        () => true,
      )
      await stores.reopen()
      assert.equal((await rebuild()).whole, true, `after ${step} changes`)
      assert.deepEqual(await contentsOf(stores), before)
    }
  })

  it('leaves what was pushed since alone', async () => {
    await pushImage('a', 'v1', [shared])
    await pushImage('a', 'v2', [shared], { annotations: { v: '2' } })
    await fillCidStore()
    await stores.loseIndex()
    const store = cidStore()
    const pushed = await pushImage('a', 'v1', [large])
    await store.update('a', 'v1')
    await rebuild()
    assert.equal((await stores.index.tag('a', 'v1'))?.digest, pushed.digest)
    assert.ok(await stores.index.tag('a', 'v2'))
  })

  it('leaves a tag where it is that is pushed while it is restored', async () => {
    await pushImage('a', 'v1', [shared])
    await fillCidStore()
    await stores.loseIndex()
    let pushed: Digest | undefined
    const { tags } = await rebuild(async () => {
      pushed = (await pushImage('a', 'v1', [large])).digest
    })
    assert.equal(tags, 0)
    assert.equal((await stores.index.tag('a', 'v1'))?.digest, pushed)
  })

  it('does not bring back a tag that is deleted while it is restored', async () => {
    await pushImage('a', 'v1', [shared])
    await fillCidStore()
    await stores.loseIndex()
    const { tags } = await rebuild(async () => {
      await rm(join(stores.directory, 'cids', 'a', 'v1'))
    })
    assert.equal(tags, 0)
    assert.equal(await stores.index.tag('a', 'v1'), undefined)
  })

  it('has no problem with an image that is not here where its tag was pushed meanwhile', async () => {
    const { root } = await pushImage('a', 'v1', [shared])
    await fillCidStore()
    await stores.loseIndex()
    await rm(stores.files.path(CID.parse(root)))
    const { problems, whole } = await rebuild(async () => {
      await pushImage('a', 'v1', [large])
    })
    assert.deepEqual(problems, [])
    assert.equal(whole, true)
  })

  it('waits for whoever changes the repository', async () => {
    await pushImage('a', 'v1', [shared])
    await fillCidStore()
    await stores.loseIndex()
    const goOn = Promise.withResolvers<void>()
    let holding: Promise<void> | undefined
    const rebuilt = rebuild(() => {
      holding = stores.links.repositories.run('a', async () => await goOn.promise)
    })
    assert.equal(await Promise.race([rebuilt.then(() => 'rebuilt'), sleep(200, 'waiting')]), 'waiting')
    assert.equal(await stores.index.tag('a', 'v1'), undefined)
    goOn.resolve()
    await holding
    assert.equal((await rebuilt).tags, 1)
  })

  it('has on disk all that it puts into the index', async () => {
    await pushImage('a', 'v1', [shared, large])
    await fillCidStore()
    await stores.loseIndex()
    const power = new Power(stores)
    // as whatever else is stored meanwhile
    await stores.content.add(Buffer.from('not synced'))
    await rebuild()
    assert.deepEqual(power.atRisk, [])
  })
})

describe('a store whose index was lost', () => {
  it('lets no garbage collection, no publication and no CID store touch what was there', async () => {
    await fill()
    await fillCidStore()
    const files = await readdir(join(stores.directory, 'cids'), { recursive: true })
    const blocks = await bytesOnDisk(stores.blocks)
    await stores.loseIndex()
    // pushes and restarts do not change that
    await pushImage('team/app', 'new', [shared])
    await stores.reopen()
    await fillCidStore()
    for (const dryRun of [true, false]) {
      await assert.rejects(stores.collector().collect({ dryRun }), {
        code: 'UNAVAILABLE',
        detail: { reason: 'the index was lost: first rebuild it with "ipdr fsck --rebuild"' },
      })
    }
    await assert.rejects(publisher().publish(), { code: 'UNAVAILABLE' })
    assert.ok((await bytesOnDisk(stores.blocks)) >= blocks)
    const after = await readdir(join(stores.directory, 'cids'), { recursive: true })
    assert.deepEqual(
      files.filter(file => !after.includes(file)),
      [],
    )
    assert.ok(
      stores.logged.some(
        ({ level, msg, message }) => level === 'error' && /fsck --rebuild/.test(String(msg ?? message)),
      ),
    )
  })

  it('stays so until what is damaged was repaired, and lists it', async () => {
    await pushImage('a', 'v1', [shared, large])
    await pushImage('b', 'v1', [randomBytes(200_000, 'b')])
    await fillCidStore()
    const before = await contentsOf(stores)
    const blob = (await stores.index.blob(sha256(large)))!
    const good = large.subarray(0, mebibyte)
    const leaf = (await leafBlock(good)).cid.toString()
    for (const bad of [Buffer.concat([good.subarray(0, -1), Buffer.from([good.at(-1)! ^ 1])]), undefined]) {
      await stores.loseIndex()
      await (bad === undefined ? rm(blockFile(leaf)) : writeFile(blockFile(leaf), bad))
      const { problems, whole } = await rebuild()
      assert.equal(whole, false)
      assert.deepEqual(
        problems.map(({ repository, tag, digest, cid }) => ({ repository, tag, digest, cid })),
        [{ repository: 'a', tag: 'v1', digest: sha256(large), cid: blob.cid }],
      )
      await assert.rejects(stores.repository('a').blob(sha256(large)), { code: 'BLOB_UNKNOWN' })
      await assert.rejects(stores.collector().collect(), { code: 'UNAVAILABLE' })
      await writeFile(blockFile(leaf), good)
      assert.equal((await rebuild()).whole, true)
      assert.deepEqual(await contentsOf(stores), before)
    }
  })

  it('may be taken as it is: then the rest is garbage', async () => {
    await pushImage('a', 'v1', [shared])
    await stores.loseIndex()
    const store = cidStore()
    const rebuilder = new IndexRebuilder({
      ...parts(),
      cidStore: store,
      publisher: publisher(),
      names: { published: async () => undefined },
    })
    await rebuilder.waive()
    await store.stop()
    await stores.reopen()
    assert.ok((await stores.collector().collect()).blocks > 0)
    assert.equal(await bytesOnDisk(stores.blocks), 0)
  })

  it('keeps what is here of images of other nodes as such', async () => {
    const { root } = await pushImage('a', 'v1', [shared, large])
    const blob = (await stores.index.blob(sha256(large)))!
    await rm(blockFile(blob.cid))
    await stores.loseIndex()
    const { partial, recovered, whole, problems } = await rebuild()
    assert.deepEqual({ partial, recovered, whole, problems }, { partial: 1, recovered: [], whole: true, problems: [] })
    assert.deepEqual(
      (await stores.cached.list()).map(({ root }) => root),
      [root],
    )
  })

  it('is one whose blocks are still there: a new one is whole', async () => {
    assert.ok(stores.condition.isWhole)
    await pushImage('a', 'v1', [])
    await stores.reopen()
    assert.ok(stores.condition.isWhole)
  })
})
