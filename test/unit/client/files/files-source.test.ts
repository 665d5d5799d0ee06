import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack, type Header } from 'tar-stream'
import { copyImage } from '../../../../src/client/images/copy-image.ts'
import { archiveFiles, openArchive } from '../../../../src/client/files/unpack-archive.ts'
import { directoryFiles } from '../../../../src/client/files/image-files.ts'
import { openFilesSource } from '../../../../src/client/files/files-source.ts'
import { makeImage, makeMultiPlatformImage, sha256, writeLayout } from '../../../fixtures/images.ts'
import { encode } from '../../../fixtures/manifests.ts'
import { MemoryTarget } from '../../../fixtures/memory-image.ts'
import { readAll } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

const image = makeImage([{ a: Buffer.from('a') }])
const multi = makeMultiPlatformImage(new Map([['amd64', image]]))

type Entry = [header: Partial<Header> & { name: string }, bytes?: Buffer]

async function tar(entries: readonly Entry[]): Promise<Buffer> {
  const archive = pack()
  entries.forEach(([header, bytes]) =>
    archive.entry({ mtime: new Date(0), ...header } as Header, bytes ?? Buffer.alloc(0)),
  )
  archive.finalize()
  return await readAll(archive as unknown as AsyncIterable<Uint8Array>)
}

const one = Buffer.from('first layer')
const two = Buffer.from('second layer')
const config = encode({
  architecture: 'amd64',
  os: 'linux',
  rootfs: { type: 'layers', diff_ids: [one, two, one].map(sha256) },
})

/** What `docker save` of Docker Engine 20.10 writes: a layer that occurs again is a link */
const saved: Entry[] = [
  [{ name: `${'0'.repeat(64)}/`, type: 'directory' }],
  [{ name: 'x1/layer.tar' }, one],
  [{ name: 'x2/layer.tar' }, two],
  [{ name: 'x3/layer.tar', type: 'symlink', linkname: '../x1/layer.tar' }],
  [{ name: 'config.json' }, config],
  [
    { name: 'manifest.json' },
    encode([
      { Config: 'config.json', RepoTags: ['example/x:v1'], Layers: ['x1/layer.tar', 'x2/layer.tar', 'x3/layer.tar'] },
    ]),
  ],
]

let scratch: TemporaryDirectory
beforeEach(async () => {
  scratch = await temporaryDirectory('files')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

async function unpacked(): Promise<string[]> {
  return (await readdir(tmpdir())).filter(name => /^ipdr-[^-]{6}$/.test(name))
}

describe('an OCI image layout', () => {
  it('in a directory is a source of the whole image', async () => {
    await writeLayout(scratch.path, multi)
    await using source = await openFilesSource(directoryFiles(scratch.path), undefined)
    const target = new MemoryTarget()
    await copyImage(source, target)
    assert.deepEqual([...target.content].sort(), [...multi.content].sort())
  })

  it('has images by their tags', async () => {
    await writeLayout(scratch.path, image)
    assert.equal((await openFilesSource(directoryFiles(scratch.path), 'latest')).top.digest, image.descriptor.digest)
    await assert.rejects(openFilesSource(directoryFiles(scratch.path), 'v1'), {
      name: 'ClientError',
      message: /has no image v1; it has: latest$/,
    })
  })

  it('in an archive, packed or not, is one too, and leaves nothing behind', async () => {
    const before = await unpacked()
    const entries: Entry[] = [
      [{ name: './index.json' }, encode({ schemaVersion: 2, manifests: [image.descriptor] })],
      ...[...image.content].map(([digest, bytes]): Entry => [{ name: `./blobs/${digest.replace(':', '/')}` }, bytes]),
    ]
    for (const bytes of [await tar(entries), gzipSync(await tar(entries))]) {
      const path = join(scratch.path, 'image.tar')
      await writeFile(path, bytes)
      await using source = await openFilesSource(await openArchive(path), undefined)
      const target = new MemoryTarget()
      await copyImage(source, target)
      assert.deepEqual([...target.content].sort(), [...image.content].sort())
    }
    assert.deepEqual(await unpacked(), before)
  })

  it('says what is missing', async () => {
    await mkdir(join(scratch.path, 'blobs'))
    await assert.rejects(openFilesSource(directoryFiles(scratch.path), undefined), /neither an OCI image layout nor/)
    await writeFile(join(scratch.path, 'index.json'), encode({ schemaVersion: 2, manifests: [image.descriptor] }))
    await assert.rejects(openFilesSource(directoryFiles(scratch.path), undefined), /does not have the manifest sha256:/)
  })
})

describe('what docker save wrote', () => {
  async function open(entries: readonly Entry[] = saved): ReturnType<typeof openFilesSource> {
    return await openFilesSource(await archiveFiles('image', Readable.from([await tar(entries)])), undefined)
  }

  it('has a manifest over its layers as they are', async () => {
    await using source = await open()
    const target = new MemoryTarget()
    await copyImage(source, target)
    assert.deepEqual(JSON.parse(String(source.top.bytes)), {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha256(config), size: config.length },
      layers: [one, two, one].map(bytes => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: sha256(bytes),
        size: bytes.length,
      })),
    })
    assert.deepEqual(
      [...target.content].sort(),
      [
        [sha256(config), config],
        [sha256(one), one],
        [sha256(two), two],
        [source.top.digest, Buffer.from(source.top.bytes)],
      ].sort(),
    )
  })

  it('has the same manifest whatever the files are called', async () => {
    const others = saved.map(([header, bytes]): Entry => [{ ...header, name: header.name.replace('x2', 'y') }, bytes])
    others[5]![1] = encode([
      { Config: 'config.json', RepoTags: null, Layers: ['x1/layer.tar', 'y/layer.tar', 'x1/layer.tar'] },
    ])
    await using first = await open()
    await using second = await open(others)
    assert.deepEqual(first.top, second.top)
  })

  for (const [what, manifest, error] of [
    ['no list', {}, /has no image latest/],
    ['no images', [], /has no image latest; it has: nothing/],
    ['no config', [{ Layers: [] }], /is not that of docker save/],
    ['a missing config', [{ Config: '../../etc/passwd', Layers: [] }], /has no \.\.\/\.\.\/etc\/passwd/],
    ['other layers', [{ Config: 'config.json', Layers: ['x1/layer.tar'] }], /has 1 layers, and the config names 3/],
    ['missing layers', [{ Config: 'config.json', Layers: ['a', 'b', 'c'] }], /has no a$/],
  ] as const) {
    it(`with ${what} in manifest.json is refused`, async () => {
      await assert.rejects(open([...saved.slice(0, 5), [{ name: 'manifest.json' }, encode(manifest)]]), {
        name: 'ClientError',
        message: error,
      })
    })
  }

  it('with a layer of other bytes is refused when it is copied', async () => {
    await using source = await open([
      ...saved.slice(0, 1),
      [{ name: 'x1/layer.tar' }, Buffer.from('FIRST layer')],
      ...saved.slice(2),
    ])
    await assert.rejects(copyImage(source, new MemoryTarget()), /is damaged/)
  })
})

describe('an archive', () => {
  it('writes nowhere but where it may, and its links lead nowhere else', async () => {
    const files = await archiveFiles(
      'x',
      Readable.from([
        await tar([
          [{ name: '../../escaped' }, one],
          [{ name: '/absolute' }, two],
          [{ name: 'passwd', type: 'symlink', linkname: '/etc/passwd' }],
          [{ name: 'loop', type: 'symlink', linkname: 'loop' }],
          [{ name: 'hard', type: 'link', linkname: 'absolute' }],
        ]),
      ]),
    )
    await using _ = files
    assert.deepEqual(await readAll(files.read('../../escaped')), one)
    assert.deepEqual(await readAll(files.read('absolute')), two)
    assert.deepEqual(await readAll(files.read('hard')), two)
    assert.deepEqual(
      [await files.size('passwd'), await files.size('loop'), await files.size('nope')],
      [undefined, undefined, undefined],
    )
  })

  it('that is none is refused', async () => {
    await assert.rejects(archiveFiles('x', Readable.from([Buffer.alloc(2000, 'x')])), {
      name: 'ClientError',
      message: /^x is not a tar archive/,
    })
  })

  it('that is cut short is refused', async () => {
    await assert.rejects(archiveFiles('x', Readable.from([(await tar(saved)).subarray(0, 1700)])))
  })
})
