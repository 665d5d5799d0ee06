import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { promises } from 'node:fs'
import { link, mkdir, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { copyImage } from '../../../../src/client/images/copy-image.ts'
import { openInside } from '../../../../src/client/files/confined-file.ts'
import { directoryFiles } from '../../../../src/client/files/image-files.ts'
import { openFilesSource } from '../../../../src/client/files/files-source.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { makeImage, sha256 } from '../../../fixtures/images.ts'
import { encode } from '../../../fixtures/manifests.ts'
import { MemoryTarget } from '../../../fixtures/memory-image.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../../cli/ipdr.ts'

const image = makeImage([{ a: Buffer.from('a') }])
/** JSON, as a config has to be, and with what a config has */
const secret = encode({ auths: { 'registry.example': { auth: 'c2VjcmV0' } }, rootfs: { type: 'layers', diff_ids: [] } })

let scratch: TemporaryDirectory
let directory: string
/** Beside the directory */
let outside: string

beforeEach(async () => {
  scratch = await temporaryDirectory('confined')
  directory = join(scratch.path, 'image')
  outside = join(scratch.path, 'config.json')
  await mkdir(directory)
  await writeFile(outside, secret)
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

/** All that a copy of the directory brings elsewhere */
async function copied(): Promise<Buffer[]> {
  await using source = await openFilesSource(directoryFiles(directory), undefined)
  const target = new MemoryTarget()
  await copyImage(source, target)
  return [...target.content.values()]
}

async function save(config: string, layers: string[] = []): Promise<void> {
  await writeFile(
    join(directory, 'manifest.json'),
    encode([{ Config: config, RepoTags: ['x:latest'], Layers: layers }]),
  )
}

async function writeImage(place: (digest: string, bytes: Buffer) => Promise<void>): Promise<void> {
  await writeFile(join(directory, 'index.json'), encode({ schemaVersion: 2, manifests: [image.descriptor] }))
  for (const [digest, bytes] of image.content) {
    await place(digest.replace(':', '/'), bytes)
  }
}

async function writeBelow(root: string, path: string, bytes: Buffer): Promise<string> {
  const file = join(root, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, bytes)
  return file
}

describe('a directory that somebody else filled', () => {
  for (const [how, config, message] of [
    ['a path that leads out', async () => '../config.json', /^\.\.\/config\.json lies outside /],
    ['a path that leads out in the end', async () => 'a/b/../../../config.json', / lies outside /],
    ['an absolute path', async () => outside, / lies outside /],
    [
      'a link',
      async () => {
        await symlink('../config.json', join(directory, 'a.json'))
        return 'a.json'
      },
      / is a link that leads out of it$/,
    ],
    [
      'an absolute link',
      async () => {
        await symlink(outside, join(directory, 'a.json'))
        return 'a.json'
      },
      / is a link that leads out of it$/,
    ],
    [
      'a link to a link',
      async () => {
        await symlink('b.json', join(directory, 'a.json'))
        await symlink(outside, join(directory, 'b.json'))
        return 'a.json'
      },
      / is a link that leads out of it$/,
    ],
    [
      'a directory that is a link',
      async () => {
        await symlink('..', join(directory, 'a'))
        return 'a/config.json'
      },
      / is a link that leads out of it$/,
    ],
    [
      'a hard link',
      async () => {
        await link(outside, join(directory, 'a.json'))
        return 'a.json'
      },
      / is a hard link to a file outside of it$/,
    ],
  ] as const) {
    it(`brings nothing else along by ${how}`, async () => {
      await save(await config())
      await assert.rejects(copied(), { name: 'ClientError', message })
    })
  }

  it('is pushed by no command either', async () => {
    await save('../config.json')
    await using registry = await fakeServer((_, res) => {
      res.writeHead(200).end('{}')
    })
    const { code, err, out } = await ipdr(['push', 'x', '--from', directory, '--docker-registry-host', registry.host])
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /^ipdr: \.\.\/config\.json lies outside .*\nNothing outside the directory is read/)
    assert.deepEqual(
      registry.requests.map(({ url }) => url),
      ['/v2/'],
    )
  })

  it('has index.json and blobs of its own', async () => {
    const other = join(scratch.path, 'other')
    for (const linked of [
      'index.json',
      'blobs',
      'blobs/sha256',
      `blobs/${image.descriptor.digest.replace(':', '/')}`,
    ]) {
      await writeImage(async (path, bytes) => {
        await writeBelow(directory, `blobs/${path}`, bytes)
      })
      assert.equal((await copied()).length, image.content.size)
      await rename(join(directory, linked), other)
      await symlink(other, join(directory, linked))
      await assert.rejects(copied(), { message: / is a link that leads out of it$/ }, linked)
      await scratch[Symbol.asyncDispose]()
      await mkdir(directory, { recursive: true })
    }
  })

  it('has layers by links of its own, as older Docker Engines save them', async () => {
    const layer = Buffer.from('layer')
    const config = encode({ rootfs: { type: 'layers', diff_ids: [sha256(layer), sha256(layer), sha256(layer)] } })
    await writeBelow(directory, 'x1/layer.tar', layer)
    await mkdir(join(directory, 'x2'))
    await symlink('../x1/layer.tar', join(directory, 'x2/layer.tar'))
    await link(join(directory, 'x1/layer.tar'), join(directory, 'hard.tar'))
    await writeBelow(directory, 'config.json', config)
    await save('config.json', ['x1/layer.tar', './x2/layer.tar', 'hard.tar'])
    assert.ok((await copied()).some(bytes => bytes.equals(layer)))
  })

  it('may itself be reached by a link', async () => {
    await writeImage(async (path, bytes) => {
      await writeBelow(directory, `blobs/${path}`, bytes)
    })
    await symlink(directory, join(scratch.path, 'link'))
    directory = join(scratch.path, 'link')
    assert.equal((await copied()).length, image.content.size)
  })

  it('has no file that is none', { skip: process.platform === 'win32' }, async () => {
    const path = join(directory, 'a.json')
    execFileSync('mkfifo', [path])
    await save('a.json')
    await assert.rejects(copied(), { name: 'ClientError', message: /a\.json is not a regular file$/ })
    await save('socket')
    const server = createServer().listen(join(directory, 'socket'))
    await assert.rejects(copied(), { message: /socket is not a regular file$/ })
    server.close()
    await mkdir(join(directory, 'directory'))
    await save('directory')
    await assert.rejects(copied(), { message: /directory is not a regular file$/ })
    for (const device of ['/dev/null', '/dev/zero', path]) {
      const { code, err } = await ipdr(['push', 'x', '--from', device, '--docker-registry-host', '127.0.0.1:9'])
      assert.equal(code, 1)
      assert.doesNotMatch(err, /bug/)
    }
  })

  it('has no config but one of an image', async () => {
    for (const config of [{ auths: {} }, null, [], 'text', { rootfs: null }, { rootfs: { diff_ids: 'x' } }]) {
      await writeFile(join(directory, 'a.json'), encode(config))
      await save('a.json')
      await assert.rejects(copied(), { name: 'ClientError', message: /is not the config of an image$/ })
    }
  })

  it('is refused before a blob is read that is longer than it should be', async () => {
    await writeImage(async (path, bytes) => {
      await writeBelow(directory, `blobs/${path}`, Buffer.concat([bytes, bytes]))
    })
    await writeBelow(
      directory,
      `blobs/${image.descriptor.digest.replace(':', '/')}`,
      image.content.get(image.descriptor.digest)!,
    )
    await assert.rejects(copied(), { name: 'ClientError', message: / bytes instead of \d+ of the blob sha256:/ })
  })
})

describe('whatever a path is made of', () => {
  const parts = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom(
          '..',
          '.',
          '',
          'in',
          'out',
          'up',
          'dir',
          'file',
          'config.json',
          'image',
          'loop',
          'dangling',
        ),
      },
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 8 },
  )

  it('what is opened lies in the directory', async () => {
    await writeBelow(directory, 'dir/file', Buffer.from('inside'))
    await writeBelow(directory, 'file', Buffer.from('inside'))
    await writeBelow(directory, 'config.json', Buffer.from('inside'))
    for (const [name, target] of [
      ['in', 'dir'],
      ['out', '..'],
      ['up', '../config.json'],
      ['dir/out', scratch.path],
      ['dir/up', '../..'],
      ['dir/in', '../file'],
      ['loop', 'loop'],
      ['dangling', 'nope'],
    ] as const) {
      await symlink(target, join(directory, name))
    }
    const root = await realpath(directory)
    let opened = 0
    await fc.assert(
      fc.asyncProperty(parts, fc.boolean(), async (names, absolute) => {
        try {
          await using file = await openInside(root, `${absolute ? '/' : ''}${names.join('/')}`)
          assert.equal(String((await file?.readFile()) ?? 'inside'), 'inside')
          opened += file === undefined ? 0 : 1
        } catch (err) {
          assert.equal((err as Error).name, 'ClientError', String(err))
        }
      }),
      {
        numRuns: 2000,
        examples: [
          [['in', 'file'], false],
          [['out', 'config.json'], false],
          [['in', 'out', 'config.json'], false],
          [['..', 'image', 'file'], false],
        ],
      },
    )
    assert.ok(opened > 0)
  })

  for (const after of ['stays', 'goes again']) {
    it(`a link that comes between the look and the opening, and ${after}, leads nowhere`, async t => {
      const root = await realpath(directory)
      await writeBelow(directory, 'dir/config.json', Buffer.from('inside'))
      const [dir, real] = [join(directory, 'dir'), join(directory, 'real')]
      const open = promises.open
      t.mock.method(promises, 'open', async (...args: Parameters<typeof open>) => {
        await rename(dir, real)
        await symlink('..', dir)
        const file = await open(...args)
        if (after === 'goes again') {
          await rm(dir)
          await rename(real, dir)
        }
        return file
      })
      syncBuiltinESMExports()
      try {
        await assert.rejects(openInside(root, 'dir/config.json'), { name: 'ClientError' })
      } finally {
        t.mock.restoreAll()
        syncBuiltinESMExports()
      }
    })
  }
})
