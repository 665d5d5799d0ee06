import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../test/fixtures/run.ts'
import { projectDirectory } from '../../test/fixtures/tools.ts'
import { startProcess } from './process.ts'
import type { Find } from './target.ts'

/** distribution v3 as `scripts/test-tools distribution` builds it, with its filesystem driver */
export const findDistribution: Find = async ({ silent }) => {
  const command = join(projectDirectory, 'test/tools/bin/registry')
  if (!existsSync(command)) {
    return undefined
  }
  return {
    name: 'distribution',
    about:
      `${(await run(command, ['--version'])).split(' ').slice(1).join(' ')}; fsync of the file when a PATCH and a PUT end, ` +
      "and of each link file and its directory; the rename of a blob into its place is not synced; it can't be turned off",
    reference: false,
    start: async dataDir =>
      await startProcess({
        name: 'distribution',
        dataDir,
        command,
        args: () => ['serve', join(import.meta.dirname, '../distribution.yml')],
        env: port => ({
          ...process.env,
          OTEL_TRACES_EXPORTER: 'none',
          ...(silent ? { REGISTRY_LOG_LEVEL: 'error', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' } : {}),
          REGISTRY_HTTP_ADDR: `127.0.0.1:${port}`,
          REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: dataDir,
        }),
        ready: '/v2/',
        outputIsLog: true,
      }),
  }
}
