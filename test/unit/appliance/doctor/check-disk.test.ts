import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { checkDisk, fileSystemOf, type FileSystemStats } from '../../../../src/appliance/doctor/check-disk.ts'
import { checkFsync } from '../../../../src/appliance/doctor/check-fsync.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const gibibyte = 2 ** 30
const unset = { maxBytes: undefined, minFree: undefined }

function fileSystem(values: Partial<FileSystemStats> = {}): FileSystemStats {
  return {
    type: 0xef53,
    bsize: 1,
    blocks: 100 * gibibyte,
    bavail: 50 * gibibyte,
    files: 100_000,
    ffree: 50_000,
    ...values,
  }
}

function outcomes(stats: FileSystemStats, storage: Parameters<typeof checkDisk>[1] = unset): string[] {
  return checkDisk(stats, storage).map(({ check, outcome }) => `${check}: ${outcome}`)
}

describe('the check of the disk', () => {
  it('is content with a local file system that has room', () => {
    assert.deepEqual(outcomes(fileSystem()), ['file system: ok', 'free space: ok', 'inodes: ok'])
  })

  it('warns of a file system in memory, whether the data directory is there or not', async () => {
    // every Linux has one there
    const [kind] = checkDisk(await fileSystemOf('/dev/shm/none/data'), unset)
    assert.deepEqual([kind!.outcome, /^tmpfs, which is in memory/.test(kind!.found)], ['warning', true])
  })

  it('warns of file systems over the network and of that of a container', () => {
    const types = [0x6969, 0xff53_4d42, 0xff53_4d42 | 0, 0x6573_5546, 0x0102_1997, 0x794c_7630]
    assert.deepEqual(
      types
        .map(type => checkDisk(fileSystem({ type }), unset)[0])
        .map(kind => [kind!.outcome, kind!.found.split(',')[0]]),
      ['NFS', 'CIFS', 'CIFS', 'FUSE', '9p', 'overlayfs'].map(name => ['warning', name]),
    )
  })

  it('knows what pushes leave free', () => {
    assert.equal(outcomes(fileSystem({ bavail: gibibyte }))[1], 'free space: wrong')
    assert.equal(outcomes(fileSystem({ bavail: 1.5 * gibibyte }))[1], 'free space: warning')
    assert.equal(
      outcomes(fileSystem({ bavail: 10 * gibibyte }), { ...unset, minFree: 10 * gibibyte })[1],
      'free space: wrong',
    )
  })

  it('warns of a maximum that the file system can never hold', () => {
    assert.deepEqual(outcomes(fileSystem(), { ...unset, maxBytes: 99 * gibibyte }).slice(1), [
      'free space: ok',
      'inodes: ok',
    ])
    const found = checkDisk(fileSystem(), { ...unset, maxBytes: 100 * gibibyte })
    assert.match(found[2]!.found, /^storage\.maxBytes is 100\.0 GiB/)
    assert.equal(found[2]!.outcome, 'warning')
  })

  it('counts inodes where there is a number of them', () => {
    assert.equal(outcomes(fileSystem({ ffree: 999 }))[2], 'inodes: wrong')
    assert.equal(outcomes(fileSystem({ ffree: 4000 }))[2], 'inodes: warning')
    assert.equal(outcomes(fileSystem({ files: 0, ffree: 0 })).length, 2)
  })
})

describe('the check of fsync', () => {
  it('measures it and leaves nothing behind', async () => {
    await using directory = await temporaryDirectory()
    const { found, outcome } = await checkFsync(directory.path, true)
    assert.notEqual(outcome, 'wrong')
    assert.match(found, /^takes \d+\.\d ms/)
    assert.equal((await checkFsync(directory.path, false)).outcome, 'warning')
    assert.deepEqual(await readdir(directory.path), [])
  })

  it('waits for a directory that is not there, and tells of one that takes no file', async () => {
    await using directory = await temporaryDirectory()
    assert.equal((await checkFsync(join(directory.path, 'none'), true)).outcome, 'ok')
    const file = join(directory.path, 'file')
    await writeFile(file, '')
    const { found, outcome } = await checkFsync(file, true)
    assert.deepEqual([outcome, found.includes("can't be written")], ['wrong', true])
  })
})
