import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { tryRun } from '../../test/fixtures/run.ts'
import { withoutSettings } from '../../test/fixtures/server.ts'
import { projectDirectory } from '../../test/fixtures/tools.ts'
import { mainOf, nodeEnvironment, nodeFlags } from '../../scripts/node-flags.ts'
import { UsageError, type Options } from '../options.ts'
import { startProcess } from './process.ts'
import type { Find, Launcher, TargetName } from './target.ts'

export const findIpdr: Find = async options => await launcher('ipdr', projectDirectory, options)

/** An older version of ours, or one with a change, from another checkout with its own node_modules */
export const findBefore: Find = async options => {
  if (options.before === undefined) {
    return undefined
  }
  if (!existsSync(join(options.before, 'node_modules'))) {
    throw new UsageError(`${options.before} has no node_modules`)
  }
  return await launcher('before', options.before, options)
}

async function launcher(name: TargetName, checkout: string, { fsync, silent, cpuProfile }: Options): Promise<Launcher> {
  const flags = nodeFlags(checkout)
  const profile = cpuProfile === undefined || name !== 'ipdr' ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfile}`]
  return {
    name,
    about: `commit ${await commitOf(checkout)}, Node ${process.version} ${flags.join(' ')}; ${
      fsync
        ? 'a 201 waits for fdatasync of every block, fsync of the directories and of the index'
        : 'storage.fsync off'
    }`,
    reference: false,
    start: async (dataDir, { network = 'offline', publish = true, tls } = {}) =>
      await startProcess({
        name,
        dataDir,
        command: process.execPath,
        args: port => [
          ...flags,
          ...profile,
          mainOf(checkout),
          'server',
          '--host',
          '127.0.0.1',
          '--port',
          String(port),
          '--data-dir',
          dataDir,
          '--network',
          network,
          '--p2p-host',
          '127.0.0.1',
          '--p2p-port',
          '0',
          '--log-level',
          silent ? 'warn' : 'info',
          ...(tls === undefined ? [] : ['--tls-cert-path', tls.cert, '--tls-key-path', tls.key]),
          ...(fsync ? [] : ['--storage-fsync=false']),
          ...(publish ? [] : ['--names-publish=false']),
        ],
        env: () => ({ ...withoutSettings(process.env), ...nodeEnvironment(checkout) }),
        ready: '/readyz',
        secure: tls !== undefined,
      }),
  }
}

async function commitOf(checkout: string): Promise<string> {
  const git = async (...args: string[]): Promise<string> =>
    (await tryRun('git', ['-C', checkout, ...args])).stdout.trim()
  const changed = (await git('status', '--porcelain', '--', 'src')) === '' ? '' : ' with changes'
  return `${(await git('rev-parse', '--short', 'HEAD')) || 'unknown'}${changed}`
}
