import assert from 'node:assert/strict'
import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ListingRefused } from '../../../../../src/registry/overview/files/listing-bounds.ts'
import { tarEntries, type TarEntry } from '../../../../../src/registry/overview/files/tar-entries.ts'
import { makeArchive, padded, tarBlock } from '../../../../fixtures/archives.ts'
import { run } from '../../../../fixtures/run.ts'
import { temporaryDirectory } from '../../../../fixtures/temporary.ts'

async function* inPieces(bytes: Buffer, size = bytes.byteLength): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) {
    yield bytes.subarray(at, at + size)
  }
}

async function entriesOf(bytes: Buffer, size?: number): Promise<TarEntry[]> {
  return await Array.fromAsync(tarEntries(inPieces(bytes, size)))
}

async function refusalOf(bytes: Buffer): Promise<string> {
  const err = await entriesOf(bytes).then(
    () => undefined,
    (err: unknown) => err,
  )
  assert.ok(err instanceof ListingRefused, String(err))
  return err.refusal
}

/** A pax header before an entry */
function pax(...records: string[]): Buffer {
  const text = records
    .map(record => {
      const length = Buffer.byteLength(record) + 2
      const digits = String(length + String(length).length).length
      return `${length + digits} ${record}\n`
    })
    .join('')
  return Buffer.concat([extension('x', text)])
}

function extension(type: string, text: string | Buffer): Buffer {
  const content = Buffer.from(text)
  return Buffer.concat([
    tarBlock({ 0: 'extension', 124: content.byteLength.toString(8).padStart(11, '0'), 156: type }),
    padded(content),
  ])
}

function file(name: string, content = ''): Buffer {
  const size = Buffer.byteLength(content).toString(8).padStart(11, '0')
  return Buffer.concat([tarBlock({ 0: name, 124: size, 156: '0' }), padded(Buffer.from(content))])
}

describe('the entries of an archive', () => {
  it('have paths, types, sizes and targets, however its bytes come', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'ä'.repeat(90)}`
    const archive = await makeArchive(
      { name: 'etc/', type: 'directory' },
      [{ name: 'etc/passwd' }, 'root'],
      [{ name: long }, 'x'.repeat(1500)],
      { name: 'bin', type: 'symlink', linkname: 'usr/bin' },
      { name: 'copy', type: 'link', linkname: long },
      { name: 'dev/null', type: 'character-device' },
      { name: 'run/pipe', type: 'fifo' },
    )
    for (const size of [archive.byteLength, 1000, 7]) {
      assert.deepEqual(
        (await entriesOf(archive, size)).map(({ path, size, target, type }) => [path, type, size, target]),
        [
          ['etc', 'directory', 0, undefined],
          ['etc/passwd', 'file', 4, undefined],
          [long, 'file', 1500, undefined],
          ['bin', 'symbolic link', 0, 'usr/bin'],
          ['copy', 'hard link', 0, long],
          ['dev/null', 'device', 0, undefined],
          ['run/pipe', 'pipe', 0, undefined],
        ],
      )
    }
  })

  it('differ where the bytes, the target, the permissions, the owner or extended attributes do', async () => {
    const one = async (bytes: Buffer): Promise<TarEntry> => (await entriesOf(bytes))[0]!
    const first = await one(await makeArchive([{ name: 'a', mtime: new Date(0) }, 'text']))
    const later = await one(await makeArchive([{ name: 'a', mtime: new Date() }, 'text']))
    assert.deepEqual(later, first)
    const other = await one(await makeArchive([{ name: 'a' }, 'test']))
    assert.notEqual(other.content, first.content)
    assert.equal(other.attributes, first.attributes)
    for (const header of [{ mode: 0o755 }, { uid: 5 }, { gid: 5 }, { pax: { 'SCHILY.xattr.user.a': 'b' } }]) {
      const changed = await one(await makeArchive([{ name: 'a', ...header }, 'text']))
      assert.equal(changed.content, first.content)
      assert.notEqual(changed.attributes, first.attributes, JSON.stringify(header))
    }
    const link = async (linkname: string): Promise<TarEntry> =>
      await one(await makeArchive({ name: 'a', type: 'symlink', linkname }))
    assert.notEqual((await link('b')).content, (await link('c')).content)
  })

  it('are where clients put them, however they are named', async () => {
    const names = ['../../etc/passwd', '/abs', './a/./b', 'a//b/../c', 'line\nbreak', '.', '/', 'v7dir/']
    const archive = Buffer.concat(names.map(name => file(name)))
    assert.deepEqual(
      (await entriesOf(archive)).map(({ path, type }) => [path, type]),
      [
        ['etc/passwd', 'file'],
        ['abs', 'file'],
        ['a/b', 'file'],
        ['a/c', 'file'],
        ['line\nbreak', 'file'],
        ['v7dir', 'directory'],
      ],
    )
  })

  it('are those that tar packs in each of its formats, with sparse files', async () => {
    await using directory = await temporaryDirectory('tar-entries')
    await writeFile(join(directory.path, 'plain'), 'plain')
    await writeFile(join(directory.path, 'sparse'), '')
    const sparse = join(directory.path, 'sparse')
    // more holes than a header of the old format has room for
    for (let i = 0; i < 30; i++) {
      await run('dd', ['if=/dev/urandom', `of=${sparse}`, 'bs=4096', 'count=1', `seek=${i * 64}`, 'conv=notrunc'])
    }
    await truncate(sparse, 10_000_000)
    for (const format of ['v7', 'ustar', 'oldgnu', 'gnu', 'posix']) {
      const archive = join(directory.path, 'archive.tar')
      const options = ['oldgnu', 'gnu', 'posix'].includes(format) ? ['--sparse'] : []
      await run('tar', [...options, `--format=${format}`, '-cf', archive, '-C', directory.path, 'sparse', 'plain'])
      assert.deepEqual(
        (await entriesOf(await readFile(archive))).map(({ path, size }) => [path, size]),
        [
          ['sparse', 10_000_000],
          ['plain', 5],
        ],
        format,
      )
    }
  })

  it('end with the blocks of zeros, whatever is behind', async () => {
    const bytes = Buffer.concat([file('a'), Buffer.alloc(1024), Buffer.from('no archive')])
    assert.deepEqual(
      (await entriesOf(bytes)).map(({ path }) => path),
      ['a'],
    )
    assert.deepEqual(await entriesOf(Buffer.alloc(0)), [])
  })

  const malformed: [what: string, bytes: Buffer][] = [
    ['is no archive', Buffer.from('x'.repeat(5000))],
    ['is cut in a header', file('a').subarray(0, 100)],
    ['is cut in a file', file('a', 'x'.repeat(2000)).subarray(0, 1500)],
    ['is cut in an extension', extension('x', 'x'.repeat(2000)).subarray(0, 1500)],
    ['has a wrong checksum', Buffer.from(file('a').map((byte, i) => (i === 0 ? 98 : byte)))],
    ['has a size that is none', tarBlock({ 0: 'a', 124: '99999999999', 156: '0' })],
    ['has a size beyond all numbers', tarBlock({ 0: 'a', 124: Buffer.alloc(12, 0xff), 156: '0' })],
    ['has a file without end', tarBlock({ 0: 'a', 124: '77777777777', 156: '0' })],
    ['has a huge extension', extension('x', Buffer.alloc(2 * 1024 * 1024))],
    ['has a huge extension for all files', extension('g', Buffer.alloc(2 * 1024 * 1024))],
    ['has a huge name', Buffer.concat([extension('L', 'a'.repeat(5000)), file('a')])],
    ['has too many directories in each other', Buffer.concat([extension('L', 'a/'.repeat(1000)), file('a')])],
    ['has a record without length', extension('x', ' path=a\n')],
    ['has a record that goes on behind its end', extension('x', '99 path=a\n')],
    ['has a record with a negative length', extension('x', '-9 path=a\n')],
    ['has a record of length 0', extension('x', '0 path=a\n')],
    ['has a record without a name', extension('x', '9 path a\n')],
    ['has a size in a record that is none', Buffer.concat([pax('size=-5'), file('a')])],
    ['has a sparse file that is cut', tarBlock({ 0: 'a', 156: 'S', 482: '\x01' })],
  ]
  for (const [what, bytes] of malformed) {
    it(`are none where it ${what}`, async () => {
      assert.equal(await refusalOf(bytes), 'malformed')
    })
  }

  it('take their names from what stands before them, and only the next one does', async () => {
    const bytes = Buffer.concat([
      pax('path=long', 'mtime=5'),
      file('short'),
      file('own'),
      extension('L', 'of gnu\0'),
      file('short'),
      extension('g', '15 path=for all\n'),
      file('last'),
    ])
    assert.deepEqual(
      (await entriesOf(bytes)).map(({ path }) => path),
      ['long', 'own', 'of gnu', 'last'],
    )
  })

  it('are refused, and nothing else, where bytes of an archive are changed', async () => {
    const archive = await makeArchive(
      [{ name: 'a'.repeat(120), pax: { 'SCHILY.xattr.user.a': 'b' } }, 'text'],
      { name: 'b', type: 'symlink', linkname: 'c'.repeat(120) },
      [{ name: 'd' }, 'x'.repeat(700)],
    )
    const change = fc.tuple(fc.nat(archive.byteLength - 1), fc.nat(255))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 20 }), async changes => {
        const bytes = Buffer.from(archive)
        for (const [at, byte] of changes) {
          bytes[at] = byte
        }
        for (let at = 0; at + 512 <= bytes.byteLength; at += 512) {
          fixChecksum(bytes.subarray(at, at + 512))
        }
        await entriesOf(bytes).catch((err: unknown) => {
          assert.ok(err instanceof ListingRefused, String(err))
        })
      }),
      { numRuns: 200 },
    )
  })
})

/** So that what else is wrong with a header is looked at */
function fixChecksum(block: Buffer): void {
  if (block.subarray(257, 262).toString() === 'ustar') {
    block.fill(' ', 148, 156)
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
  }
}
