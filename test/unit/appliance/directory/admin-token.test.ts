import assert from 'node:assert/strict'
import { chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { AdminToken, readAdminToken } from '../../../../src/appliance/directory/admin-token.ts'
import { recordingLog, type Line } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

describe('the token of the administration', () => {
  let directory: TemporaryDirectory
  let path: string
  let umask: number
  beforeEach(async () => {
    directory = await temporaryDirectory('token')
    path = join(directory.path, 'admin.token')
    umask = process.umask(0)
  })
  afterEach(async () => {
    process.umask(umask)
    await directory[Symbol.asyncDispose]()
  })

  async function start(given?: string): Promise<{ token: AdminToken; lines: Line[] }> {
    const log = recordingLog()
    const token = new AdminToken({ log }, { dataDir: directory.path, path: given })
    await token.start()
    return { token, lines: log.lines }
  }

  it('is made once, for its owner alone, whatever the umask', async () => {
    for (const mask of [0, 0o277]) {
      await rm(path, { force: true })
      process.umask(mask)
      const { token } = await start()
      const text = await readAdminToken(path)
      assert.match(text, /^[\w-]{43}$/)
      assert.equal((await stat(path)).mode & 0o7777, 0o600)
      assert.deepEqual(await readdir(directory.path), ['admin.token'])
      await start()
      assert.equal(await readAdminToken(path), text)
      assert.equal(await token.matches(text), true)
    }
  })

  it('is made by a start that follows a crash in the middle', async () => {
    await writeFile(`${path}.new`, 'known to somebody else', { mode: 0o666 })
    await chmod(`${path}.new`, 0o666)
    const { token } = await start()
    assert.equal(await token.matches('known to somebody else'), false)
    assert.equal((await stat(path)).mode & 0o7777, 0o600)
  })

  it('is matched by nothing else', async () => {
    const { token } = await start()
    const text = await readAdminToken(path)
    for (const other of ['', text.slice(1), `${text}x`, text.toUpperCase(), 'undefined']) {
      assert.equal(await token.matches(other), false, other)
    }
  })

  it('is another one as soon as the file has another', async () => {
    const { token } = await start()
    const before = await readAdminToken(path)
    await writeFile(path, '  a-token-of-the-operator\n')
    assert.deepEqual([await token.matches(before), await token.matches('a-token-of-the-operator')], [false, true])
  })

  it('is matched by nothing while the file is missing or holds none, and the log says so once', async () => {
    const { token, lines } = await start()
    for (const content of [undefined, '', 'short', 'of two\nlines and more']) {
      content === undefined ? await rm(path) : await writeFile(path, content)
      assert.deepEqual(
        [await token.matches(content ?? ''), await token.matches((content ?? '').trim())],
        [false, false],
      )
    }
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [['warn', "nobody can administer over TCP: the token can't be read"]],
    )
    await writeFile(path, 'a-token-of-the-operator')
    assert.equal(await token.matches('a-token-of-the-operator'), true)
  })

  it('is not made where somebody else keeps it', async () => {
    const { token } = await start(join(directory.path, 'given'))
    assert.deepEqual(await readdir(directory.path), [])
    await writeFile(join(directory.path, 'given'), 'a-token-of-the-operator')
    assert.equal(await token.matches('a-token-of-the-operator'), true)
    assert.equal(await readFile(join(directory.path, 'given'), 'utf8'), 'a-token-of-the-operator')
  })
})
