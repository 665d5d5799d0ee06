import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'
import { ipdr } from '../ipdr.ts'

describe('ipdr mirror', () => {
  let root: TemporaryDirectory
  before(async () => {
    root = await temporaryDirectory('mirror')
  })
  after(async () => {
    await root[Symbol.asyncDispose]()
  })

  it('shows with --dry-run what it would write', async () => {
    const { code, out } = await ipdr(['mirror', 'setup', 'docker', '--dry-run', '--root', root.path])
    assert.equal(code, 0)
    assert.match(out, /^\S*\/etc\/docker\/daemon\.json would be:\n{\n {2}"registry-mirrors": \[\n/)
    assert.deepEqual(await readdir(root.path), [])
  })

  it('writes files, says what else has to be done, and takes them back', async () => {
    const file = join(root.path, 'etc/docker/daemon.json')
    const hosts = join(root.path, 'etc/docker/certs.d/docker.io/hosts.toml')
    const done = await ipdr(['mirror', 'setup', 'docker', '--root', root.path])
    assert.deepEqual([done.code, done.out], [0, `wrote ${file}\nwrote ${hosts}\n`])
    assert.match(done.err, /Restart the Docker Engine.*--registry-mirror docker\.io/s)
    assert.match((await ipdr(['mirror', 'setup', 'docker', '--root', root.path])).err, /^Nothing to change\n/)
    const undone = await ipdr(['mirror', 'undo', 'docker', '--root', root.path])
    assert.deepEqual([undone.code, undone.out], [0, `deleted ${file}\ndeleted ${hosts}\n`])
  })

  it('refuses what is no engine, no host and no URL', async () => {
    for (const args of [
      ['crane'],
      ['docker', '--upstream', '../../x'],
      ['docker', '--upstream', 'Docker.io'],
      ['docker', '--mirror', 'localhost:5000'],
      ['docker', '--mirror', 'http://localhost:5000/v2'],
    ]) {
      const { code, out } = await ipdr(['mirror', 'setup', ...args, '--root', root.path, '--dry-run'])
      assert.deepEqual([code, out], [1, ''], args.join(' '))
    }
  })
})
