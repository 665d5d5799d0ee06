import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { pack, type Header } from 'tar-stream'
import { archiveFiles, openArchive } from '../../../../src/client/files/unpack-archive.ts'
import { fakeServer } from '../../../fixtures/fake-server.ts'
import { readAll } from '../../../fixtures/registry.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../../cli/ipdr.ts'

const MiB = 1024 * 1024

let scratch: TemporaryDirectory
let path: string
beforeEach(async () => {
  scratch = await temporaryDirectory('archive')
  path = join(scratch.path, 'image.tar')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

async function tar(entries: readonly (Partial<Header> & { name: string; bytes?: Buffer })[]): Promise<Buffer> {
  const archive = pack()
  entries.forEach(({ bytes, ...header }) =>
    archive.entry({ mtime: new Date(0), ...header } as Header, bytes ?? Buffer.alloc(0)),
  )
  archive.finalize()
  return await readAll(archive as unknown as AsyncIterable<Uint8Array>)
}

async function unpacked(): Promise<string[]> {
  return (await readdir(tmpdir())).filter(name => /^ipdr-[^-]{6}$/.test(name))
}

describe('an archive that is packed', () => {
  it('does not unpack to a thousand times its size', async () => {
    const before = await unpacked()
    const bomb = gzipSync(
      await tar([
        { name: 'manifest.json', bytes: Buffer.from('[]') },
        { name: 'zeros', bytes: Buffer.alloc(96 * MiB) },
      ]),
    )
    assert.ok(bomb.length < MiB / 8)
    await writeFile(path, bomb)
    await using registry = await fakeServer((_, res) => {
      res.writeHead(200).end('{}')
    })
    const { code, err } = await ipdr(['push', 'x', '--from', path, '--docker-registry-host', registry.host])
    assert.deepEqual(
      [code, err],
      [
        1,
        `ipdr: ${path} unpacks to more than ${64 * MiB} bytes\nIf the image really is that large, allow it: --max-unpacked 10GiB.\n`,
      ],
    )
    assert.deepEqual(await unpacked(), before)
  })

  it('unpacks to what it may', async () => {
    const bytes = Buffer.alloc(3 * MiB)
    await writeFile(path, gzipSync(await tar([{ name: 'zeros', bytes }])))
    for (const maxUnpacked of [undefined, 4 * MiB]) {
      await using files = await openArchive(path, { maxUnpacked })
      assert.ok((await readAll(files.read('zeros'))).equals(bytes))
    }
    await assert.rejects(openArchive(path, { maxUnpacked: 3 * MiB }), {
      name: 'ClientError',
      message: /unpacks to more than 3145728 bytes$/,
    })
    assert.match((await ipdr(['push', 'x', '--max-unpacked', 'much'])).err, /It must be a size such as 10GiB/)
  })

  it('ends where nothing follows that is a file', async () => {
    await writeFile(path, gzipSync(Buffer.alloc(80 * MiB)))
    await assert.rejects(openArchive(path), { name: 'ClientError', message: /unpacks to more than/ })
  })

  it('that is damaged is told as such', async () => {
    const packed = gzipSync(await tar([{ name: 'x', bytes: Buffer.alloc(MiB, 'x') }]))
    for (const bytes of [
      packed.subarray(0, packed.length / 2),
      Buffer.concat([packed.subarray(0, 400), Buffer.alloc(500, 1)]),
      Buffer.from([0x1f, 0x8b, 0, 0]),
    ]) {
      await writeFile(path, bytes)
      await assert.rejects(openArchive(path), { name: 'ClientError', message: /is not a tar archive/ })
    }
  })
})

describe('the files of an archive', () => {
  async function open(...entries: Parameters<typeof tar>[0]): ReturnType<typeof archiveFiles> {
    return await archiveFiles('x', Readable.from([await tar(entries)]))
  }

  it('may have one name twice: the last one counts, as for tar', async () => {
    await using files = await open(
      { name: 'a', bytes: Buffer.from('1') },
      { name: 'a', bytes: Buffer.from('2') },
      { name: 'b', bytes: Buffer.from('3') },
    )
    assert.equal(String(await readAll(files.read('a'))), '2')
    assert.equal(String(await readAll(files.read('b'))), '3')
  })

  it('are so many at most, and have paths so long at most', async () => {
    const one = (await tar([{ name: 'x', type: 'directory' }])).subarray(0, 512)
    await assert.rejects(archiveFiles('x', Readable.from([Buffer.concat(Array.from({ length: 65_537 }, () => one))])), {
      name: 'ClientError',
      message: 'x has more than 65536 files',
    })
    const long = 'a/'.repeat(3000)
    await assert.rejects(open({ name: long }), { name: 'ClientError', message: 'x has a file whose path is too long' })
    await assert.rejects(open({ name: 'a', type: 'symlink', linkname: long }), {
      message: 'x has a file whose path is too long',
    })
  })

  it("are not looked for where the disk can't be read", async () => {
    await assert.rejects(openArchive(join(scratch.path, 'nope')), {
      name: 'ClientError',
      message: /can't be read: ENOENT/,
    })
    await assert.rejects(openArchive(scratch.path), { name: 'ClientError', message: /is not a regular file$/ })
  })
})
