import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openSocketPath } from '../../../../src/appliance/directory/admin-socket-path.ts'
import { AdminSocket } from '../../../../src/appliance/directory/admin-socket.ts'
import { recordingLog } from '../../../fixtures/recording-log.ts'
import { temporaryDirectory, type TemporaryDirectory } from '../../../fixtures/temporary.ts'

describe('the socket of the administration', () => {
  let directory: TemporaryDirectory
  beforeEach(async () => {
    directory = await temporaryDirectory('socket')
  })
  afterEach(async () => {
    await directory[Symbol.asyncDispose]()
  })

  const open = (dataDir: string, log = recordingLog()): AdminSocket => {
    return new AdminSocket(
      {
        app: (_req, res) => {
          res.end('here')
        },
        log,
      },
      { dataDir, idleTimeout: 1000, drainTimeout: 100 },
    )
  }

  async function ask(dataDir: string): Promise<string> {
    using socket = openSocketPath(dataDir)
    const [response] = (await once(get({ socketPath: socket.path, agent: false }), 'response')) as [IncomingMessage]
    return await text(response)
  }

  for (const [what, name] of [
    ['a short path', 'a'],
    ['a path that is too long for a socket', 'a'.repeat(200)],
  ] as const) {
    it(`is there below ${what}, for its owner alone, until the server stops`, async () => {
      const dataDir = join(directory.path, name)
      await mkdir(dataDir)
      const log = recordingLog()
      const socket = open(dataDir, log)
      await socket.start()
      assert.equal((await stat(join(dataDir, 'admin.sock'))).mode & 0o7777, 0o600)
      assert.equal(await ask(dataDir), 'here')
      await socket.stop()
      assert.deepEqual(await readdir(dataDir), [])
      assert.deepEqual(log.lines, [])
    })
  }

  it('takes the place of what a server left that was killed', async () => {
    await writeFile(join(directory.path, 'admin.sock'), '')
    const socket = open(directory.path)
    await socket.start()
    assert.equal(await ask(directory.path), 'here')
    await socket.stop()
  })

  it("that can't be made stops nothing, and the log says so in one line", async () => {
    const log = recordingLog()
    await mkdir(join(directory.path, 'admin.sock'))
    const socket = open(directory.path, log)
    await socket.start()
    await socket.stop()
    assert.deepEqual(
      log.lines.map(({ level, message }) => [level, message]),
      [['warn', 'no socket for administration: administration needs the token']],
    )
  })
})
