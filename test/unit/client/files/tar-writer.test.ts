import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { extract } from 'tar-stream'
import { TarWriter } from '../../../../src/client/files/tar-writer.ts'
import { readAll, stream } from '../../../fixtures/registry.ts'

async function write(files: ReadonlyArray<readonly [string, Buffer]>): Promise<Buffer> {
  const out = new PassThrough()
  const written = buffer(out)
  const tar = new TarWriter(out)
  for (const [name, bytes] of files) {
    await tar.file(name, bytes.length, stream(bytes, 1000))
  }
  await tar.end()
  return await written
}

const files = [
  ['empty', Buffer.alloc(0)],
  ['blobs/sha256/a', Buffer.from('a')],
  ['block', Buffer.alloc(512, 'b')],
  [`blobs/sha512/${'f'.repeat(128)}`, Buffer.alloc(70_001, 'c')],
] as const

describe('a tar archive', () => {
  it('can be read by others', async () => {
    const found: Array<[string, Buffer]> = []
    const archive = extract()
    archive.end(await write(files))
    for await (const entry of archive) {
      found.push([entry.header.name, await readAll(entry as unknown as AsyncIterable<Uint8Array>)])
    }
    assert.deepEqual(
      found,
      files.map(file => [...file]),
    )
  })

  it('depends on names and contents alone', async () => assert.deepEqual(await write(files), await write(files)))

  it('holds no file that is shorter or longer than it should be', async () => {
    for (const size of [2, 4]) {
      const out = new PassThrough()
      await assert.rejects(new TarWriter(out.resume()).file('x', size, [Buffer.from('xxx')]), RangeError)
    }
  })

  it('does not wait for a reader that has gone', async () => {
    const out = new PassThrough()
    const tar = new TarWriter(out)
    const written = tar.file('x', 2 ** 20, stream(Buffer.alloc(2 ** 20)))
    out.destroy(new Error('gone'))
    await assert.rejects(written)
  })
})
