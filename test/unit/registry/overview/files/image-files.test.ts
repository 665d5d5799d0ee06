import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { ComparedFile, FileComparison } from '../../../../../src/registry/overview/files/file-comparison.ts'
import { ImageFiles, type Listed } from '../../../../../src/registry/overview/files/image-files.ts'
import { OciError } from '../../../../../src/oci/errors.ts'
import type { Digest } from '../../../../../src/oci/digest.ts'
import { makeArchive, type ArchiveEntry } from '../../../../fixtures/archives.ts'
import { sha256 } from '../../../../fixtures/images.ts'
import { descriptorOf } from '../../../../fixtures/manifests.ts'

const { signal } = new AbortController()
const mebibyte = 1024 * 1024

/** Layers in memory */
class Layers {
  readonly #blobs = new Map<Digest, { bytes: Buffer; size: number }>()
  readonly files = new ImageFiles({
    local: () => ({
      blob: async digest => {
        const blob = this.#blobs.get(digest)
        if (blob === undefined) {
          throw new OciError('BLOB_UNKNOWN')
        }
        const read = async function* (): AsyncGenerator<Uint8Array> {
          yield blob.bytes
        }
        return { digest, size: blob.size, cid: '', read }
      },
    }),
  })

  /** @param size of what is stored; @default that of the bytes */
  add(bytes: Buffer, size = bytes.byteLength): ReturnType<typeof descriptorOf> {
    this.#blobs.set(sha256(bytes), { bytes, size })
    return { ...descriptorOf(bytes), size }
  }

  async compare(
    first: ReturnType<typeof descriptorOf>[],
    second: ReturnType<typeof descriptorOf>[],
  ): Promise<Listed<FileComparison>> {
    const image = (layers: typeof first) => ({ repository: 'app', layers })
    return await this.files.compare(image(first), image(second), { client: '192.0.2.1', signal })
  }
}

/** A file with a text; `name/` is a directory */
function entry(text: string): ArchiveEntry {
  const [name = '', content] = text.split('=', 2)
  return name.endsWith('/') ? { name, type: 'directory' } : [{ name }, content ?? '']
}

async function layerOf(...entries: string[]): Promise<Buffer> {
  return gzipSync(await makeArchive(...entries.map(entry)))
}

function filesOf(listed: Listed<FileComparison>): FileComparison {
  assert.ok('files' in listed, JSON.stringify(listed))
  return listed.files
}

function changesOf(listed: Listed<FileComparison>): [path: string, change: ComparedFile['change']][] {
  return filesOf(listed).items.map(({ change, path }) => [path, change])
}

describe('the files in which two images differ', () => {
  it('were added, removed or changed', async () => {
    const layers = new Layers()
    const base = layers.add(await layerOf('etc/', 'etc/same=1', 'etc/old=1', 'etc/new=1', 'both=1'))
    const first = layers.add(await layerOf('app=1', 'only=1', 'both=2', 'etc/.wh.old'))
    const second = layers.add(
      zstdCompressSync(await makeArchive(entry('app=2'), [{ name: 'more', mode: 0o600 }, '1'], entry('etc/.wh.new'))),
    )
    const listed = await layers.compare([base, first], [base, second])
    assert.deepEqual(changesOf(listed), [
      ['app', 'content'],
      ['both', 'content'],
      ['etc/new', 'removed'],
      ['etc/old', 'added'],
      ['more', 'added'],
      ['only', 'removed'],
    ])
    const { counts, isBaseRead, items } = filesOf(listed)
    assert.deepEqual([counts, isBaseRead], [{ added: 2, removed: 2, changed: 2 }, true])
    assert.partialDeepStrictEqual(items[4], { first: undefined, second: { type: 'file', size: 1 } })
    const same = await layers.compare([base, first], [base, first])
    assert.deepEqual(filesOf(same).counts, { added: 0, removed: 0, changed: 0 })
  })

  it('are the same where layers are cut otherwise, or another time', async () => {
    const layers = new Layers()
    const [a, b] = [layers.add(await layerOf('a=1')), layers.add(await layerOf('b=1'))]
    const both = layers.add(await makeArchive([{ name: 'a', mtime: new Date(5) }, '1'], [{ name: './b' }, '1']))
    assert.deepEqual(changesOf(await layers.compare([a, b], [both])), [])
    const mode = layers.add(await makeArchive([{ name: 'a', mode: 0o700 }, '1'], entry('b=1')))
    assert.deepEqual(changesOf(await layers.compare([a, b], [mode])), [['a', 'attributes']])
  })

  it('obey whiteouts and opaque directories, wherever these stand in a layer', async () => {
    const layers = new Layers()
    const base = layers.add(await layerOf('d/', 'd/a=1', 'd/e/b=1', 'f=1', 'g/c=1', 'h/d=1', 'link/e=1'))
    const empty = layers.add(await layerOf())
    const hides = layers.add(
      await makeArchive(
        // one that comes before the file that takes the place, and one behind
        ...['.wh.f', 'f=1', 'd/new=1', 'd/.wh..wh..opq', '.wh.g', 'h=1', '.wh..wh.aufs', '.wh.', '.wh.none'].map(entry),
        { name: 'link', type: 'symlink', linkname: 'd' },
      ),
    )
    assert.deepEqual(changesOf(await layers.compare([base, empty], [base, hides])), [
      ['d/a', 'removed'],
      ['d/e/b', 'removed'],
      ['d/new', 'added'],
      ['g/c', 'removed'],
      ['h', 'added'],
      ['h/d', 'removed'],
      ['link', 'added'],
      ['link/e', 'removed'],
    ])
    const root = layers.add(await layerOf('.wh..wh..opq', 'x=1'))
    const everything = filesOf(await layers.compare([base, empty], [base, root]))
    assert.deepEqual(everything.counts, { added: 1, removed: 7, changed: 0 })
  })

  it('are those of the layers that differ alone, where what both begin with is too much', async () => {
    const layers = new Layers()
    const base = layers.add(await layerOf('etc/', 'a=1', 'b=1'), 100 * mebibyte)
    const first = layers.add(await layerOf('etc/', 'etc/x=1', '.wh.a', 'b=2', 'own=1'))
    const second = layers.add(await layerOf('c/', '.wh.own', 'd/.wh..wh..opq'))
    const later = layers.add(await layerOf('.wh.own'))
    const listed = await layers.compare([base, first], [base, second, later])
    assert.deepEqual(changesOf(listed), [
      ['a', 'added'],
      ['b', 'removed'],
      ['d/*', 'removed'],
      ['etc/x', 'removed'],
      ['own', 'removed'],
    ])
    assert.equal(filesOf(listed).isBaseRead, false)
  })

  it('are not listed where that would take too much, or there are none', async () => {
    const layers = new Layers()
    const small = layers.add(await layerOf('a=1'))
    const many = layers.add(gzipSync(await makeArchive(...Array.from({ length: 20_001 }, (_, i) => entry(`${i}`)))))
    const names = layers.add(
      await makeArchive(...Array.from({ length: 1100 }, (_, i) => entry(`${'n'.repeat(4000)}${i}`))),
    )
    const lying = { ...layers.add(Buffer.from('x'), 65 * mebibyte), size: 1 }
    const halves = [1, 2].map(i => layers.add(Buffer.from(`${i}`), 33 * mebibyte))
    for (const [refusal, other] of [
      ['too large', [lying]],
      ['too large', halves],
      ['too many files', [many]],
      ['too many files', [names]],
      ['malformed', [layers.add(Buffer.from('no archive'))]],
      ['not here', [descriptorOf(Buffer.from('elsewhere'))]],
    ] as const) {
      assert.deepEqual(await layers.compare([small], [...other]), { refusal })
    }
  })

  it('are cut where there are many, and told of as a whole', async () => {
    const layers = new Layers()
    const many = layers.add(await layerOf(...Array.from({ length: 1500 }, (_, i) => `${i}`)))
    const { counts, items, total } = filesOf(await layers.compare([], [many]))
    assert.deepEqual([counts.added, items.length, total], [1500, 1000, 1500])
  })

  it('are listed once at a time for each client, and no longer than somebody waits', async () => {
    const started = Promise.withResolvers<void>()
    const files = new ImageFiles({
      local: () => ({
        blob: async digest => ({
          digest,
          size: 1,
          cid: '',
          read: ({ signal } = {}) => ({
            [Symbol.asyncIterator]: () => ({
              next: async () => {
                started.resolve()
                return await new Promise((_resolve, reject) => {
                  signal!.addEventListener('abort', () => {
                    reject(signal!.reason as Error)
                  })
                })
              },
            }),
          }),
        }),
      }),
    })
    const controller = new AbortController()
    const image = { repository: 'app', layers: [descriptorOf(Buffer.from('endless'))] }
    const none = { repository: 'app', layers: [] }
    const reader = { client: '192.0.2.1', signal: controller.signal }
    const endless = files.compare(image, none, reader)
    await started.promise
    await assert.rejects(files.compare(none, none, reader), { code: 'TOOMANYREQUESTS' })
    assert.ok('files' in (await files.compare(none, none, { ...reader, client: '192.0.2.2' })))
    controller.abort()
    await assert.rejects(endless, { name: 'AbortError' })
    assert.ok('files' in (await files.compare(none, none, { client: '192.0.2.1', signal })))
  })
})

describe('the files of one layer', () => {
  it('are listed as the archive has them, with what the layer takes away', async () => {
    const layers = new Layers()
    const layer = layers.add(await layerOf('b/', 'b/.wh.x', 'b/a=text', 'c/.wh..wh..opq'))
    const image = { repository: 'app', layers: [layer] }
    assert.deepEqual(await layers.files.layer(image, layer.digest, { signal }), {
      files: {
        items: [
          { path: 'b', type: 'directory', size: 0, target: undefined },
          { path: 'b/a', type: 'file', size: 4, target: undefined },
        ],
        total: 2,
        removed: { items: ['b/x', 'c/*'], total: 2 },
      },
    })
    // a layer of another image is not for who may pull this one
    const other = layers.add(await layerOf('secret'))
    assert.deepEqual(await layers.files.layer(image, other.digest, { signal }), { refusal: 'not here' })
  })
})
