import assert from 'node:assert/strict'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { LevelIndex } from '../../../src/index/level-index.ts'
import type { ManifestRecord, UploadRecord } from '../../../src/index/index.ts'
import { sha256 } from '../../fixtures/images.ts'
import { sha512 } from '../../fixtures/manifests.ts'
import { readDescriptor } from '../../../src/registry/referrer.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../fixtures/temporary.ts'

const all = { limit: -1, last: undefined }
const updated = '2026-01-01T00:00:00.000Z'
const [a, b, c] = ['a', 'b', 'c'].map(text => sha256(Buffer.from(text))).sort() as [
  `sha256:${string}`,
  `sha256:${string}`,
  `sha256:${string}`,
]
const long = sha512(Buffer.from('a'))
const blob = { cid: 'bafy', size: 1, dagSize: 1 }
const manifest: ManifestRecord = {
  mediaType: 'a/b',
  size: 2,
  cid: 'bafy',
  dagSize: 2,
  root: 'bafyroot',
  blobs: [a],
  manifests: [],
}
const upload: UploadRecord = { repository: 'a', algorithm: 'sha256', size: 0, started: updated, updated }

let directory: TemporaryDirectory
let index: LevelIndex

beforeEach(async () => {
  directory = await temporaryDirectory('index')
  index = new LevelIndex(join(directory.path, 'index'))
  await index.open()
})

afterEach(async () => {
  await index.close()
  await directory[Symbol.asyncDispose]()
})

async function tagsOf(repository: string, page: { limit: number; last: string | undefined } = all): Promise<string[]> {
  return (await Array.fromAsync(index.tags(repository, page))).map(({ tag }) => tag)
}

describe('the index', () => {
  it('gives back what was put, and nothing of what was not', async () => {
    await index
      .change()
      .putBlob(a, blob)
      .putBlob(long, blob)
      .putLink('r', a)
      .putManifest('r', b, manifest)
      .putTag('r', 't', { digest: b, updated })
      .putRepository('r')
      .putUpload('u', upload)
      .putUploadLeaves('u', 0, ['x'])
      .commit({ durable: true })
    assert.deepEqual(await index.blob(a), blob)
    assert.deepEqual(await index.blob(long), blob)
    assert.deepEqual(await index.manifest('r', b), manifest)
    assert.deepEqual(await index.tag('r', 't'), { digest: b, updated })
    assert.deepEqual(await index.upload('u'), upload)
    assert.deepEqual(await index.uploadLeaves('u'), ['x'])
    assert.deepEqual(
      [await index.isLinked('r', a), await index.hasRepository('r'), await index.countBlobs()],
      [true, true, 2],
    )
    assert.deepEqual(
      [
        await index.blob(b),
        await index.manifest('r', a),
        await index.manifest('s', b),
        await index.tag('r', 'T'),
        await index.upload('v'),
        await index.uploadLeaves('v'),
      ],
      [undefined, undefined, undefined, undefined, undefined, []],
    )
    assert.deepEqual(
      [await index.isLinked('r', b), await index.isLinked('s', a), await index.hasRepository('s')],
      [false, false, false],
    )
  })

  it('deletes only what it is told to', async () => {
    await index
      .change()
      .putLink('r', a)
      .putLink('r', b)
      .putManifest('r', a, manifest)
      .putManifest('r', b, manifest)
      .putTag('r', 'x', { digest: a, updated })
      .putTag('r', 'y', { digest: a, updated })
      .putRepository('r')
      .putRepository('s')
      .putReferrer('r', a, { mediaType: 'a/b', digest: b, size: 1 })
      .commit({ durable: false })
    await index
      .change()
      .deleteLink('r', a)
      .deleteManifest('r', a)
      .deleteTag('r', 'x')
      .deleteRepository('s')
      .deleteReferrer('r', a, b)
      .deleteTag('r', 'never there')
      .commit({ durable: false })
    assert.deepEqual([await index.isLinked('r', a), await index.isLinked('r', b)], [false, true])
    assert.deepEqual(
      (await Array.fromAsync(index.manifests('r'))).map(({ digest }) => digest),
      [b],
    )
    assert.deepEqual(
      [
        await tagsOf('r'),
        await Array.fromAsync(index.repositories(all)),
        await Array.fromAsync(index.referrers('r', a, all)),
      ],
      [['y'], ['r'], []],
    )
  })

  it('keeps repositories apart whose names begin alike', async () => {
    const names = ['a', 'a/b', 'a/b/c', 'a-b', 'a.b', 'a__b', 'a0', 'ab', 'b']
    const change = index.change()
    for (const name of names) {
      change
        .putTag(name, `of-${name.replaceAll('/', '-')}`, { digest: a, updated })
        .putManifest(name, a, manifest)
        .putReferrer(name, a, { mediaType: name, digest: b, size: 1 })
        .putRepository(name)
    }
    await change.commit({ durable: false })
    for (const name of names) {
      assert.deepEqual(await tagsOf(name), [`of-${name.replaceAll('/', '-')}`])
      assert.equal((await Array.fromAsync(index.manifests(name))).length, 1)
      assert.deepEqual(
        (await Array.fromAsync(index.referrers(name, a, all))).map(referrer => readDescriptor(referrer).mediaType),
        [name],
      )
    }
    assert.deepEqual(await Array.fromAsync(index.repositories(all)), names.toSorted())
  })

  it('keeps the referrers of each subject apart', async () => {
    await index
      .change()
      .putReferrer('r', a, { mediaType: 'a/b', digest: c, size: 1 })
      .putReferrer('r', a, { mediaType: 'a/b', digest: b, size: 1 })
      .putReferrer('r', b, { mediaType: 'a/b', digest: a, size: 1 })
      .commit({ durable: false })
    assert.deepEqual(
      (await Array.fromAsync(index.referrers('r', a, all))).map(({ digest }) => digest),
      [b, c],
    )
    assert.deepEqual(
      (await Array.fromAsync(index.referrers('r', a, { limit: -1, last: b }))).map(({ digest }) => digest),
      [c],
    )
    assert.deepEqual(
      (await Array.fromAsync(index.referrers('r', a, { limit: 1, last: undefined }))).map(({ digest }) => digest),
      [b],
    )
    assert.deepEqual(await Array.fromAsync(index.referrers('r', c, all)), [])
  })

  it('lists any page of names in the order of their bytes', async () => {
    const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,5}$/)
    let run = 0
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(tag, { maxLength: 20 }),
        fc.integer({ min: 1, max: 7 }),
        fc.option(fc.oneof(tag, fc.string()), { nil: undefined }),
        async (tags, limit, last) => {
          const repository = `run-${run++}`
          const change = index
            .change()
            .putTag(`${repository}/below`, 'other', { digest: a, updated })
            .putTag(`${repository}-0`, 'other', { digest: a, updated })
          tags.forEach(tag => change.putTag(repository, tag, { digest: a, updated }))
          await change.commit({ durable: false })
          const expected = tags.toSorted().filter(tag => Buffer.compare(Buffer.from(tag), Buffer.from(last ?? '')) > 0)
          assert.deepEqual(await tagsOf(repository, { limit, last }), expected.slice(0, limit))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('keeps the leaves of an upload in order, and apart from those of others', async () => {
    const leaves = Array.from({ length: 25 }, (_, i) => `leaf${i}`)
    await index
      .change()
      .putUpload('u', upload)
      .putUploadLeaves('u', 9, leaves.slice(9, 11))
      .putUploadLeaves('u', 11, leaves.slice(11))
      .commit({ durable: false })
    await index
      .change()
      .putUploadLeaves('u', 0, leaves.slice(0, 9))
      .putUpload('uu', upload)
      .putUploadLeaves('uu', 0, ['other'])
      .commit({ durable: false })
    assert.deepEqual(await index.uploadLeaves('u'), leaves)
    assert.deepEqual(
      (await Array.fromAsync(index.uploads())).map(({ id }) => id),
      ['u', 'uu'],
    )
    await index.change().deleteUpload('u').commit({ durable: false })
    assert.deepEqual(
      [await index.upload('u'), await index.uploadLeaves('u'), await index.uploadLeaves('uu')],
      [undefined, [], ['other']],
    )
  })

  it('keeps the leaves of a fetch where they belong, and apart from those of others', async () => {
    const record = { digest: a, size: 3, repositories: ['r'], active: true, updated }
    const [one, two, three] = [1, 2, 3].map(byte => Buffer.alloc(64, byte)) as [Buffer, Buffer, Buffer]
    await index
      .change()
      .putFetch('f', record)
      .putFetchLeaves('f', 100, two)
      .putFetchLeaves('f', 2, two)
      .putFetch('f:1', { ...record, active: false })
      .putFetchLeaves('f:1', 0, three)
      .commit({ durable: false })
    await index.change().putFetchLeaves('f', 2, one).commit({ durable: false })
    const leavesOf = async (id: string): Promise<unknown> => await Array.fromAsync(index.fetchLeaves(id))
    assert.deepEqual(await leavesOf('f'), [
      { position: 2, hashes: one },
      { position: 100, hashes: two },
    ])
    assert.deepEqual(
      (await Array.fromAsync(index.fetches())).map(({ id, record }) => [id, record.active]),
      [
        ['f', true],
        ['f:1', false],
      ],
    )
    await index.change().deleteFetch('f').commit({ durable: false })
    assert.deepEqual([await index.fetch('f'), await leavesOf('f')], [undefined, []])
    assert.deepEqual(
      [await index.fetch('f:1'), await leavesOf('f:1')],
      [{ ...record, active: false }, [{ position: 0, hashes: three }]],
    )
  })

  it('knows of manifests and tags of other registries', async () => {
    await index
      .change()
      .putMirrored('r', a, { used: updated })
      .putMirroredTag('r', 't', { checked: updated })
      .commit({ durable: false })
    assert.deepEqual(
      [await index.mirrored('r', a), await index.mirrored('r', b), await index.mirroredTag('r', 't')],
      [{ used: updated }, undefined, { checked: updated }],
    )
    await index.change().deleteMirrored('r', a).deleteMirroredTag('r', 't').commit({ durable: false })
    assert.deepEqual([await index.mirrored('r', a), await index.mirroredTag('r', 't')], [undefined, undefined])
  })

  it('writes all of a change or nothing of it', async () => {
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const change = index.change().putTag('r', 'x', { digest: a, updated })
    assert.throws(() => change.putReferrer('r', a, { ...circular, mediaType: 'a/b', digest: b, size: 1 }))
    assert.deepEqual(await tagsOf('r'), [])
    await index.close()
    await assert.rejects(change.commit({ durable: true }))
    await index.open()
    assert.deepEqual(await tagsOf('r'), [])
    await change.putTag('r', 'y', { digest: a, updated }).commit({ durable: true })
    assert.deepEqual(await tagsOf('r'), ['x', 'y'])
  })

  it('holds what it held when it is opened again', async () => {
    await index.change().putTag('r', 'x', { digest: a, updated }).putUpload('u', upload).commit({ durable: true })
    await index.close()
    index = new LevelIndex(join(directory.path, 'index'))
    await index.open()
    assert.deepEqual([await tagsOf('r'), await index.upload('u')], [['x'], upload])
  })

  it('is open in one place at a time', async () => {
    const other = new LevelIndex(join(directory.path, 'index'))
    await assert.rejects(other.open(), { name: 'IndexError', code: 'INDEX_LOCKED' })
    await index.close()
    await other.open()
    await other.close()
    await index.open()
  })

  it('tells another failure to open as it is', async () => {
    const other = new LevelIndex('/dev/null/index')
    await assert.rejects(other.open(), err => (err as Error).name !== 'IndexError')
  })

  it('reads a listing as it was when it began', async () => {
    const change = index.change()
    for (let i = 0; i < 100; i++) {
      change.putTag('r', `t${100 + i}`, { digest: a, updated })
    }
    await change.commit({ durable: false })
    const seen: string[] = []
    for await (const { tag } of index.tags('r', all)) {
      seen.push(tag)
      await index.change().deleteTag('r', 't199').putTag('r', 't999', { digest: a, updated }).commit({ durable: false })
    }
    assert.equal(seen.length, 100)
    assert.equal(seen.at(-1), 't199')
  })
})
