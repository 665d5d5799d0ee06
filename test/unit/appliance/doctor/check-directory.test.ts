import assert from 'node:assert/strict'
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { checkDirectory } from '../../../../src/appliance/doctor/check-directory.ts'
import { findHolder } from '../../../../src/appliance/doctor/holder.ts'
import { run } from '../../../fixtures/run.ts'
import { smallVolume } from '../../../fixtures/small-volume.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

const nobody = 65_534

describe('the check of the data directory', () => {
  it('changes nothing where there is none, or an empty one', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 'data')
    assert.match((await checkDirectory(path, false))[0]!.found, /the first start makes it$/)
    assert.deepEqual(await checkDirectory(directory.path, false), [
      { check: 'data directory', outcome: 'ok', found: `${directory.path} is empty` },
    ])
    assert.deepEqual(await readdir(directory.path), [])
  })

  it('refuses what is not ours, or of another format', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(join(directory.path, 'photo.jpg'), '')
    assert.match(await wrongOf(directory.path), /is neither empty nor a data directory of ipdr/)
    await writeFile(join(directory.path, 'format'), '9\n')
    assert.match(await wrongOf(directory.path), /has format 9, that of a newer version/)
  })

  it('finds a directory that is read-only', async t => {
    if (process.getuid!() !== 0) {
      await using directory = await temporaryDirectory()
      await chmod(directory.path, 0o500)
      assert.match(await wrongOf(directory.path), /no permission to write to/)
      return
    }
    // root may write whatever the permissions are, but not to a file system that is read-only
    const volume = await smallVolume('1m').catch(() => undefined)
    if (volume === undefined) {
      t.skip('root may not mount here')
      return
    }
    try {
      await run('mount', ['-o', 'remount,ro', volume.path])
      assert.match(await wrongOf(volume.path), /it is read-only$/)
    } finally {
      await volume[Symbol.asyncDispose]()
    }
  })

  it('warns of permissions for others', async () => {
    await using directory = await temporaryDirectory()
    await chmod(directory.path, 0o755)
    const [finding] = await checkDirectory(directory.path, true)
    assert.deepEqual([finding!.outcome, /everyone: rx/.test(finding!.found)], ['warning', true])
    assert.match(finding!.advice!, /chmod -R go= /)
  })

  it('warns of files of another user', { skip: process.getuid!() !== 0 && 'needs root' }, async () => {
    await using directory = await temporaryDirectory()
    await writeFile(join(directory.path, 'format'), '1\n')
    await mkdir(join(directory.path, 'index'))
    await chown(join(directory.path, 'index'), nobody, nobody)
    const [finding] = await checkDirectory(directory.path, false)
    assert.match(finding!.found, /belongs to user 0, but index to user 65534$/)
    assert.equal(finding!.advice, `If the server runs as user 0: chown -R 0 ${directory.path}`)
  })
})

describe('the process that has an index open', () => {
  it('is found by device and inode', () => {
    const locks = [
      '1: POSIX  ADVISORY  READ 7 fd:01:5678 0 EOF',
      '2: FLOCK  ADVISORY  WRITE 8 fd:01:56789 0 EOF',
      '3: POSIX  ADVISORY  WRITE 1234 fd:01:5678 0 EOF',
      '3: -> POSIX  ADVISORY  WRITE 99 fd:01:5678 0 EOF',
    ].join('\n')
    assert.equal(findHolder(locks, { dev: 0xfd01, ino: 5678 }), 1234)
    assert.equal(findHolder(locks, { dev: 0xfd02, ino: 5678 }), undefined)
    assert.equal(findHolder('', { dev: 1, ino: 1 }), undefined)
  })
})

async function wrongOf(path: string): Promise<string> {
  const findings = await checkDirectory(path, false)
  assert.deepEqual(
    findings.map(({ outcome }) => outcome),
    ['wrong'],
  )
  return findings[0]!.found
}
