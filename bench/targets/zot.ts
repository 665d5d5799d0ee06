import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tryRun } from '../../test/fixtures/run.ts'
import { UsageError } from '../options.ts'
import { freePort } from '../../test/fixtures/free-port.ts'
import { startProcess } from './process.ts'
import type { Find } from './target.ts'

/** zot, where a binary is given; by itself it does not sync, so `commit` is set unless nobody is to */
export const findZot: Find = async ({ zot: command, fsync, silent }) => {
  if (command === undefined) {
    return undefined
  }
  if (!existsSync(command)) {
    throw new UsageError(`there is no zot at ${command}`)
  }
  const { stdout, stderr } = await tryRun(command, ['--version'])
  return {
    name: 'zot',
    about: `${/v?\d+\.\d+\.\d+[-.\w]*/.exec(stdout + stderr)?.[0] ?? 'unknown version'}; ${fsync ? 'storage.commit on: fsync of each file' : 'storage.commit off'}`,
    reference: false,
    start: async dataDir => {
      const port = await freePort()
      const config = join(dataDir, 'zot.json')
      await mkdir(dataDir, { recursive: true })
      await writeFile(
        config,
        JSON.stringify({
          distSpecVersion: '1.1.1',
          storage: { rootDirectory: join(dataDir, 'storage'), commit: fsync, gc: false },
          http: { address: '127.0.0.1', port: String(port) },
          log: { level: silent ? 'error' : 'info' },
        }),
      )
      return await startProcess({
        name: 'zot',
        dataDir,
        port,
        command,
        args: () => ['serve', config],
        ready: '/v2/',
        outputIsLog: true,
      })
    },
  }
}
