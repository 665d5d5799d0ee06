import assert from 'node:assert/strict'
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { closeDirectory } from '../../../../src/appliance/directory/close-directory.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

describe('a data directory', () => {
  let directory: TemporaryDirectory
  beforeEach(async () => {
    directory = await temporaryDirectory('close')
    for (const part of ['datastore', 'cids', 'blocks']) {
      await mkdir(path(part))
      await chmod(path(part), 0o755)
    }
    for (const file of ['datastore/000003.log', 'datastore/CURRENT', 'admin.token', 'cids/tag']) {
      await writeFile(path(file), 'x')
      await chmod(path(file), 0o644)
    }
  })
  afterEach(async () => {
    await directory[Symbol.asyncDispose]()
  })

  const path = (name: string): string => join(directory.path, name)
  const modes = async (...names: string[]): Promise<string[]> =>
    await Promise.all(names.map(async name => ((await stat(path(name))).mode & 0o7777).toString(8)))

  for (const [mode, to] of [
    [0o755, 'group 0: rx, everyone: rx'],
    [0o750, 'group 0: rx'],
    [0o701, 'everyone: x'],
    [0o777, 'group 0: rwx, everyone: rwx'],
  ] as const) {
    it(`of mode ${mode.toString(8)} is closed, and the log says to whom it was open`, async () => {
      const log = recordingLog()
      await chmod(directory.path, mode)
      const { gid } = await stat(directory.path)
      await closeDirectory({ log }, directory.path)
      assert.deepEqual(
        await modes('.', 'blocks', 'datastore', 'datastore/000003.log', 'datastore/CURRENT', 'admin.token'),
        ['700', '700', '700', '600', '600', '600'],
      )
      assert.deepEqual(log.lines, [
        {
          level: 'warn',
          message: 'data directory was open to other users; it is closed now',
          fields: {
            directory: directory.path,
            to: to.replace('group 0', `group ${gid}`),
            exposed: ['datastore', 'admin.token'],
          },
        },
      ])
    })
  }

  it('that is closed has its keys closed without a word', async () => {
    const log = recordingLog()
    await chmod(directory.path, 0o700)
    await closeDirectory({ log }, directory.path)
    assert.deepEqual(await modes('datastore', 'datastore/CURRENT', 'admin.token', 'cids', 'cids/tag'), [
      '700',
      '600',
      '600',
      '755',
      '644',
    ])
    assert.deepEqual(log.lines, [])
  })

  it('has all of its secrets closed, and the log names those that were open', async () => {
    const secrets = ['admin.token', 'token-keys.json', 'api-keys.json', 'htpasswd', 'operator-key.json']
    const log = recordingLog()
    for (const name of secrets) {
      await writeFile(path(name), 'x')
      await chmod(path(name), 0o644)
    }
    await chmod(directory.path, 0o755)
    await closeDirectory({ log }, directory.path)
    assert.deepEqual(await modes(...secrets), Array(secrets.length).fill('600'))
    assert.deepEqual(log.lines[0]?.fields['exposed'], ['datastore', ...secrets])
  })

  it('keeps other bits of its mode', async () => {
    await chmod(directory.path, 0o2775)
    await closeDirectory({ log: recordingLog() }, directory.path)
    assert.deepEqual(await modes('.'), ['2700'])
  })
})
