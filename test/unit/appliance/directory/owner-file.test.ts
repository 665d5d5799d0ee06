import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createSwarmKey } from '../../../../src/appliance/create-swarm-key.ts'
import { createOperatorKey } from '../../../../src/appliance/operator-key.ts'
import { replaceHandles, systemError } from '../../../fixtures/replace-fs.ts'
import { temporaryDirectory } from '../../../fixtures/temporary.ts'

describe('a key that is made', () => {
  for (const [name, make] of [
    ['swarm.key', async (directory: string) => await createSwarmKey(directory)],
    [
      'operator-key.json',
      async (directory: string) =>
        await createOperatorKey({ file: join(directory, 'operator-key.json'), dataDir: directory }),
    ],
  ] as const) {
    it(`is there as a whole or not at all: ${name}`, async () => {
      await using directory = await temporaryDirectory('owner-file')
      const path = join(directory.path, name)
      {
        using _full = replaceHandles((opened, handle) => {
          const { writeFile } = handle
          return opened !== path
            ? {}
            : {
                writeFile: async data => {
                  await writeFile.call(handle, String(data).slice(0, 10))
                  throw systemError('ENOSPC')
                },
              }
        })
        await assert.rejects(make(directory.path), { name: 'StartError', message: /can't be written/ })
      }
      await make(directory.path)
      const text = await readFile(path, 'utf8')
      assert.ok(text.length > 10)
      assert.equal((await stat(path)).mode & 0o777, 0o600)
      await assert.rejects(make(directory.path), { message: `${path} is there already, and is left as it is` })
      assert.equal(await readFile(path, 'utf8'), text)
    })
  }
})
