import { trusted } from '../../../../src/access/caller.ts'
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import * as dagPb from '@ipld/dag-pb'
import { NextToLast } from 'blockstore-fs/sharding'
import { CID } from 'multiformats/cid'
import { StorageFullError } from '../../../../src/ipfs/errors.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { LocalRepository } from '../../../../src/registry/repositories/local-repository.ts'
import { bytesOnDisk } from '../../../fixtures/bytes-on-disk.ts'
import { randomBytes, sha256 } from '../../../fixtures/images.ts'
import {
  descriptorOf,
  encode,
  foreignLayer,
  imageIndex,
  imageManifest,
  ociIndex,
  ociManifest,
  sha512,
} from '../../../fixtures/manifests.ts'
import { readDescriptor } from '../../../../src/registry/referrer.ts'
import { TestRegistry, readAll } from '../../../fixtures/registry.ts'

const all = { limit: 1000, last: undefined }
const mebibyte = 1024 * 1024
const absent = sha256(Buffer.from('never pushed'))
const manifest = imageManifest({ annotations: { of: 'the test' } })
const digest = sha256(manifest)
const other = imageManifest({ annotations: { other: 'one' } })

let stores: TestRegistry

beforeEach(async () => {
  stores = await TestRegistry.open()
  await stores.pushEmptyConfig('r')
})

afterEach(async () => {
  await stores[Symbol.asyncDispose]()
})

async function tags(repository = 'r'): Promise<string[]> {
  return (await stores.repository(repository).tags(all)).items
}

async function catalog(): Promise<string[]> {
  return (await stores.registry.repositories(all, trusted)).items
}

async function digestAt(reference: string): Promise<Digest> {
  return (await stores.repository('r').manifest({ tag: reference })).digest
}

/** Writes over a block as a bad disk might */
async function damage(cid: string, content: Uint8Array): Promise<void> {
  const { dir, file } = new NextToLast().encode(CID.parse(cid))
  await writeFile(join(stores.blockstore.path, dir, file), content)
}

describe('a manifest that is put', () => {
  it('comes back byte for byte, by tag and by digest', async () => {
    const odd = Buffer.from(
      `{ "schemaVersion" : 2,\n\t"mediaType":"${ociManifest}", "config":${JSON.stringify(descriptorOf(Buffer.from('{}')))},"layers":[ ],"x":"\\u00e9 é" }\n\n`,
    )
    await stores.pushManifest('r', 'odd', odd)
    for (const reference of [{ tag: 'odd' }, { digest: sha256(odd) }]) {
      const { digest, mediaType, size, read } = await stores.repository('r').manifest(reference)
      assert.deepEqual([digest, mediaType, size], [sha256(odd), ociManifest, odd.byteLength])
      assert.ok(odd.equals(await read()))
    }
  })

  it('is the same after a restart', async () => {
    const { root } = await stores.pushManifest('r', 'latest', manifest)
    await stores.reopen()
    assert.deepEqual(
      [
        await digestAt('latest'),
        (await stores.repository('r').manifest({ digest })).root,
        await tags(),
        await catalog(),
      ],
      [digest, root, ['latest'], ['r']],
    )
  })

  it('may be larger than a leaf', async () => {
    const large = imageManifest({ annotations: { large: 'x'.repeat(2 * mebibyte) } })
    const { read } = await stores.pushManifest('r', 'large', large)
    assert.ok(large.equals(await read()))
  })

  it('has the digest of the algorithm that it is pushed by', async () => {
    await stores.pushManifest('r', sha512(manifest), manifest)
    assert.equal((await stores.repository('r').manifest({ digest: sha512(manifest) })).digest, sha512(manifest))
    await assert.rejects(stores.repository('r').manifest({ digest }), { code: 'MANIFEST_UNKNOWN' })
    await assert.rejects(stores.pushManifest('r', sha256(other), manifest), {
      code: 'DIGEST_INVALID',
      detail: { digest: sha256(other), actual: digest },
    })
    assert.deepEqual(await tags(), [])
  })

  it('moves a tag, and keeps what the tag was at', async () => {
    await stores.pushManifest('r', 'latest', manifest)
    await stores.pushManifest('r', 'latest', other)
    assert.equal(await digestAt('latest'), sha256(other))
    assert.equal((await stores.repository('r').manifest({ digest })).digest, digest)
  })

  it('gets all its tags at once', async () => {
    await stores
      .repository('r')
      .putManifest({ reference: { digest }, bytes: manifest, contentType: undefined, tags: ['b', 'a'] })
    await stores
      .repository('r')
      .putManifest({ reference: { tag: 'c' }, bytes: manifest, contentType: undefined, tags: ['d'] })
    assert.deepEqual(await tags(), ['a', 'b', 'c', 'd'])
  })

  it('is refused without its blobs, and each is named once', async () => {
    const missing = descriptorOf(Buffer.from('missing'))
    const refers = imageManifest({ config: descriptorOf(Buffer.from('no config')), layers: [missing, missing] })
    await assert.rejects(stores.pushManifest('r', 'latest', refers), {
      code: 'MANIFEST_BLOB_UNKNOWN',
      status: 404,
      detail: { digests: [sha256(Buffer.from('no config')), missing.digest] },
    })
    await assert.rejects(stores.pushManifest('s', 'latest', manifest), { code: 'MANIFEST_BLOB_UNKNOWN' })
    assert.deepEqual([await catalog(), await stores.index.hasRepository('r')], [[], false])
    // its config was pushed
    assert.deepEqual(await tags(), [])
    await assert.rejects(tags('s'), { code: 'NAME_UNKNOWN', status: 404 })
  })

  it('is accepted without its blobs where that is configured', async () => {
    await using stores = await TestRegistry.open({ missingBlobs: 'accept' })
    assert.equal((await stores.pushManifest('r', 'latest', manifest)).digest, digest)
  })

  it('needs neither foreign layers, nor the manifests of an index, nor a subject', async () => {
    const nothing = { ...descriptorOf(Buffer.from('nothing'), foreignLayer), urls: ['https://example.org'] }
    await stores.pushManifest('r', 'foreign', imageManifest({ layers: [nothing] }))
    await stores.pushManifest('r', 'sparse', imageIndex([{ ...nothing, mediaType: ociManifest }]), ociIndex)
    await stores.pushManifest('r', 'subject', imageManifest({ subject: { ...nothing, mediaType: ociManifest } }))
    assert.deepEqual(await tags(), ['foreign', 'sparse', 'subject'])
  })

  it('changes nothing where the disk is full', async () => {
    stores.blockstore.beforePut = () => {
      throw new StorageFullError()
    }
    await assert.rejects(stores.pushManifest('r', 'latest', manifest), { code: 'STORAGE_FULL', status: 507 })
    assert.deepEqual(await catalog(), [])
    stores.blockstore.beforePut = () => {}
    await stores.pushManifest('r', 'latest', manifest)
  })

  it('is not acknowledged where the disk does not sync', async () => {
    stores.blockstore.sync = async () => {
      throw new Error('I/O error')
    }
    await assert.rejects(stores.pushManifest('r', 'latest', manifest), { message: 'I/O error' })
    Reflect.deleteProperty(stores.blockstore, 'sync')
    assert.deepEqual(await catalog(), [])
  })

  it('has each of its blobs looked up once', async () => {
    const config = descriptorOf(Buffer.from('config'))
    const layer = descriptorOf(Buffer.from('layer'))
    await stores.pushBlob('r', Buffer.from('config'))
    await stores.pushBlob('r', Buffer.from('layer'))
    const asked: string[] = []
    const isLinked = stores.index.isLinked.bind(stores.index)
    stores.index.isLinked = async (repository, digest) => {
      asked.push(digest)
      return await isLinked(repository, digest)
    }
    await stores.pushManifest('r', 'latest', imageManifest({ config, layers: [layer] }))
    assert.deepEqual(asked.sort(), [config.digest, layer.digest].sort())
  })

  it('comes or goes alone: what it was checked for still holds when it is kept', async () => {
    const config = descriptorOf(Buffer.from('config'))
    await stores.pushBlob('r', Buffer.from('config'))
    const refers = imageManifest({ config })
    const [put, removed] = await Promise.allSettled([
      stores.pushManifest('r', 'latest', refers),
      stores.repository('r').deleteBlob(config.digest),
    ])
    assert.deepEqual([put.status, removed.status], ['fulfilled', 'fulfilled'])
    const twenty = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, i) =>
        i % 2 === 0
          ? await stores.pushManifest('r', 'latest', other)
          : await stores.repository('r').deleteManifest({ digest: sha256(other) }),
      ),
    )
    assert.deepEqual(
      twenty.map(({ status }) => status),
      Array(20).fill('fulfilled'),
    )
  })
})

describe('a manifest that is deleted', () => {
  it('by tag loses that tag only', async () => {
    await stores.pushManifest('r', 'a', manifest)
    await stores.pushManifest('r', 'b', manifest)
    await stores.repository('r').deleteManifest({ tag: 'a' })
    assert.deepEqual([await tags(), await catalog()], [['b'], ['r']])
    await stores.repository('r').deleteManifest({ tag: 'b' })
    assert.deepEqual([await tags(), (await stores.repository('r').manifest({ digest })).digest], [[], digest])
    await assert.rejects(stores.repository('r').deleteManifest({ tag: 'a' }), { code: 'MANIFEST_UNKNOWN' })
  })

  it('by digest loses all tags that point at it', async () => {
    await stores.pushManifest('r', 'a', manifest)
    await stores.pushManifest('r', 'b', manifest)
    await stores.pushManifest('r', 'c', other)
    await stores.repository('r').deleteManifest({ digest })
    assert.deepEqual([await tags(), await catalog()], [['c'], ['r']])
    await assert.rejects(stores.repository('r').manifest({ digest }), { code: 'MANIFEST_UNKNOWN' })
    await assert.rejects(stores.repository('r').manifest({ tag: 'a' }), { code: 'MANIFEST_UNKNOWN' })
    await assert.rejects(stores.repository('r').deleteManifest({ digest }), { code: 'MANIFEST_UNKNOWN' })
  })

  it('takes its repository out of the catalog if it was the last one', async () => {
    await stores.pushManifest('r', 'a', manifest)
    await stores.pushEmptyConfig('r/below')
    await stores.pushManifest('r/below', 'a', manifest)
    await stores.repository('r').deleteManifest({ digest })
    assert.deepEqual(await catalog(), ['r/below'])
    // its blobs are still there
    assert.deepEqual(await tags(), [])
    await stores.pushManifest('r', 'a', manifest)
    assert.deepEqual(await catalog(), ['r', 'r/below'])
  })

  it('is no longer a referrer', async () => {
    const subject = { ...descriptorOf(manifest, ociManifest) }
    const referrer = imageManifest({ subject, artifactType: 'a/b' })
    await stores.pushManifest('r', sha256(referrer), referrer)
    assert.equal((await stores.repository('r').referrers(digest, all)).items.length, 1)
    await stores.repository('r').deleteManifest({ digest: sha256(referrer) })
    assert.deepEqual(await stores.repository('r').referrers(digest, all), { items: [], more: false })
  })

  it('is unknown elsewhere', async () => {
    await stores.pushManifest('r', 'a', manifest)
    await assert.rejects(stores.repository('s').deleteManifest({ digest }), { code: 'MANIFEST_UNKNOWN' })
    await assert.rejects(stores.repository('s').manifest({ digest }), { code: 'MANIFEST_UNKNOWN' })
    assert.deepEqual(await tags(), ['a'])
  })
})

describe('blobs', () => {
  it('are deleted from one repository, not from others', async () => {
    const bytes = Buffer.from('shared')
    for (const name of ['r', 's']) {
      await stores.pushBlob(name, bytes)
    }
    await stores.repository('r').deleteBlob(sha256(bytes))
    await assert.rejects(stores.repository('r').blob(sha256(bytes)), { code: 'BLOB_UNKNOWN' })
    await assert.rejects(stores.repository('r').deleteBlob(sha256(bytes)), { code: 'BLOB_UNKNOWN' })
    assert.ok(bytes.equals(await readAll((await stores.repository('s').blob(sha256(bytes))).read())))
    await stores.pushBlob('r', bytes)
    assert.equal((await stores.repository('r').blob(sha256(bytes))).size, bytes.byteLength)
  })

  it('are stored once', async () => {
    const bytes = randomBytes(2 * mebibyte, 'once')
    await stores.pushBlob('r', bytes)
    const before = await bytesOnDisk(stores.blocks)
    await stores.pushBlob('s', bytes)
    await stores.pushBlob('r', bytes, sha512(bytes))
    assert.equal(await bytesOnDisk(stores.blocks), before)
  })

  it('are mounted from where they are, without a copy', async () => {
    const bytes = Buffer.from('mounted')
    const digest = await stores.pushBlob('r', bytes)
    const { puts } = stores.blockstore
    assert.equal(await stores.repository('s').mountBlob(digest, 'r'), true)
    assert.equal(await stores.repository('t').mountBlob(digest, undefined), true)
    assert.equal(await stores.repository('r').mountBlob(digest, 'r'), true)
    for (const name of ['s', 't']) {
      assert.ok(bytes.equals(await readAll((await stores.repository(name).blob(digest)).read())))
    }
    assert.equal(stores.blockstore.puts, puts)
  })

  it('are not mounted from where they are not', async () => {
    const digest = await stores.pushBlob('r', Buffer.from('mounted'))
    assert.deepEqual(
      [
        await stores.repository('s').mountBlob(digest, 'other'),
        await stores.repository('s').mountBlob(absent, 'r'),
        await stores.repository('s').mountBlob(absent, undefined),
      ],
      [false, false, false],
    )
    await stores.repository('r').deleteBlob(digest)
    assert.equal(await stores.repository('s').mountBlob(digest, 'r'), false)
    await assert.rejects(stores.repository('s').blob(digest), { code: 'BLOB_UNKNOWN' })
  })
})

describe('content that is damaged', () => {
  const bytes = randomBytes(3 * mebibyte, 'damaged')
  const unavailable = { name: 'OciError', code: 'UNAVAILABLE', status: 503 }

  for (const [what, content] of [
    ['cut off', Buffer.alloc(10)],
    ['empty', Buffer.alloc(0)],
    ['too long', Buffer.alloc(200)],
  ] as const) {
    it(`is an error where the only block of a blob is ${what}`, async () => {
      const small = Buffer.from('x'.repeat(100))
      const blob = await stores.repository('r').blob(await stores.pushBlob('r', small))
      await damage(blob.cid, content)
      await assert.rejects(readAll(blob.read()), unavailable)
      if (content.byteLength < blob.size) {
        await assert.rejects(readAll(blob.read({ start: 5, end: 99 })), unavailable)
      }
    })

    it(`is an error where the block of a manifest is ${what}`, async () => {
      const { read } = await stores.pushManifest('r', 'latest', manifest)
      await damage((await stores.index.manifest('r', digest))!.cid, content)
      await assert.rejects(read(), unavailable)
    })
  }

  it('is an error where a leaf is missing, after what comes before it', async () => {
    const blob = await stores.repository('r').blob(await stores.pushBlob('r', bytes))
    const { Links } = dagPb.decode(await stores.blockstore.read(CID.parse(blob.cid)))
    await stores.blockstore.delete(Links[1]!.Hash)
    let size = 0
    await assert.rejects(async () => {
      for await (const chunk of blob.read()) {
        size += chunk.byteLength
      }
    }, unavailable)
    assert.equal(size, mebibyte)
    assert.ok(
      (await readAll(blob.read({ start: 2 * mebibyte, end: 3 * mebibyte - 1 }))).equals(bytes.subarray(2 * mebibyte)),
    )
  })

  it('is whole again once it is pushed again', async () => {
    const blob = await stores.repository('r').blob(await stores.pushBlob('r', bytes))
    await stores.blockstore.delete(CID.parse(blob.cid))
    await assert.rejects(readAll(blob.read()), unavailable)
    await stores.pushBlob('r', bytes)
    assert.ok((await readAll(blob.read())).equals(bytes))
  })
})

it('tells of a tag whose image gets another root, whatever it is pushed by', async () => {
  const told: string[] = []
  const tagListener = {
    tagged: (repository: string, tag: string) => {
      told.push(`${repository}:${tag}`)
    },
  }
  const repository = new LocalRepository(
    { ...stores, tagListener, hotManifests: new Map() },
    { name: 'r', acceptMissingBlobs: false },
  )
  const bytes = imageIndex([descriptorOf(manifest, ociManifest)])
  const push = async (reference: Parameters<LocalRepository['putManifest']>[0]['reference']): Promise<string> => {
    return (await repository.putManifest({ reference, bytes, contentType: ociIndex, tags: [] })).manifest.root
  }
  const sparse = await push({ tag: 'v1' })
  assert.equal(await push({ digest: sha256(bytes) }), sparse)
  assert.deepEqual(told, ['r:v1'])
  await stores.pushManifest('r', digest, manifest)
  assert.notEqual(await push({ digest: sha256(bytes) }), sparse)
  assert.deepEqual(told, ['r:v1', 'r:v1'])
})

describe('referrers', () => {
  const subject = descriptorOf(manifest, ociManifest)

  async function push(artifactType: string, more: { annotations?: Record<string, string> } = {}): Promise<Digest> {
    const bytes = imageManifest({ subject, artifactType, ...more })
    return (await stores.pushManifest('r', sha256(bytes), bytes)).digest
  }

  it('are described as the specification has it, whether or not the subject is there', async () => {
    const layered = imageIndex([], { subject, annotations: { a: 'b' } })
    await stores.pushManifest('r', sha256(layered), layered, ociIndex)
    const image = imageManifest({ subject, annotations: { c: 'd' } })
    await stores.pushManifest('r', 'tagged', image)
    const { items } = await stores.repository('r').referrers(digest, all)
    assert.deepEqual(
      items.map(readDescriptor),
      [
        { mediaType: ociIndex, digest: sha256(layered), size: layered.byteLength, annotations: { a: 'b' } },
        {
          mediaType: ociManifest,
          digest: sha256(image),
          size: image.byteLength,
          artifactType: 'application/vnd.oci.empty.v1+json',
          annotations: { c: 'd' },
        },
      ].sort((a, b) => (a.digest < b.digest ? -1 : 1)),
    )
    assert.deepEqual(await stores.repository('s').referrers(digest, all), { items: [], more: false })
  })

  it('are filtered before they are paged', async () => {
    const wanted = new Set<string>()
    for (let i = 0; i < 10; i++) {
      const digest = await push(i % 2 === 0 ? 'a/b' : 'a/c', { annotations: { i: String(i) } })
      if (i % 2 === 0) {
        wanted.add(digest)
      }
    }
    const found: string[] = []
    for (let last: string | undefined, more = true; more; ) {
      const page = await stores.repository('r').referrers(digest, { limit: 2, last }, 'a/b')
      assert.ok(page.items.length <= 2 && page.items.every(item => readDescriptor(item).artifactType === 'a/b'))
      found.push(...page.items.map(({ digest }) => digest))
      last = found.at(-1)
      more = page.more
    }
    assert.deepEqual(found, [...wanted].sort())
  })

  it('come in pages that are no larger than a manifest may be', async () => {
    const pushed = await Promise.all(
      Array.from(
        { length: 5 },
        async (_, i) => await push('a/b', { annotations: { large: String(i).repeat(1_500_000) } }),
      ),
    )
    const pages: number[] = []
    const found: string[] = []
    for (let last: string | undefined, more = true; more; ) {
      const page = await stores.repository('r').referrers(digest, { limit: 1000, last })
      assert.ok(encode(page.items.map(readDescriptor)).byteLength < 4 * mebibyte)
      pages.push(page.items.length)
      found.push(...page.items.map(({ digest }) => digest))
      last = found.at(-1)
      more = page.more
    }
    assert.deepEqual([pages, found], [[2, 2, 1], pushed.toSorted()])
  })
})
