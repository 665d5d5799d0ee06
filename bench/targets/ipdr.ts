import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { copyFile, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, tryRun } from '../../test/fixtures/run.ts'
import { withoutSettings } from '../../test/fixtures/server.ts'
import { projectDirectory } from '../../test/fixtures/tools.ts'
import { mainOf, nodeEnvironment, nodeFlags } from '../../scripts/node-flags.ts'
import { UsageError, type Options } from '../options.ts'
import { startProcess } from './process.ts'
import type { Find, Launcher, TargetName } from './target.ts'

export const findIpdr: Find = async options =>
  await launcher('ipdr', projectDirectory, options, options.bundle ? await buildBundle() : mainOf(projectDirectory))

/**
 * As the container image has it
 *
 * @returns the program
 */
async function buildBundle(): Promise<string> {
  const folder = await mkdtemp(join(scratch(), 'bundle-'))
  await copyFile(join(projectDirectory, 'package.json'), join(folder, 'package.json'))
  await run(process.execPath, [join(projectDirectory, 'scripts/build-image.ts'), folder, 'unknown'])
  return join(folder, 'dist/ipdr.cjs')
}

/** An older version of ours, or one with a change, from another checkout with its own node_modules */
export const findBefore: Find = async options => {
  if (options.before === undefined) {
    return undefined
  }
  if (!existsSync(join(options.before, 'node_modules'))) {
    throw new UsageError(`${options.before} has no node_modules`)
  }
  return await launcher('before', options.before, options, mainOf(options.before))
}

async function launcher(
  name: TargetName,
  checkout: string,
  { fsync, silent, cold, cpuProfile }: Options,
  program: string,
): Promise<Launcher> {
  const flags = nodeFlags(checkout)
  const profile = cpuProfile === undefined || name !== 'ipdr' ? [] : ['--cpu-prof', `--cpu-prof-dir=${cpuProfile}`]
  const form = program.endsWith('.cjs') ? ' as a bundle' : ''
  return {
    name,
    about: `commit ${await commitOf(checkout)}${form}, Node ${process.version} ${flags.join(' ')}; ${
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
          program,
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
        env: () => ({ ...withoutSettings(process.env), ...nodeEnvironment(checkout), ...(cold && emptyCache()) }),
        ready: '/readyz',
        secure: tls !== undefined,
      }),
  }
}

/** Where Node keeps compiled code, instead of where any version of ours does */
function emptyCache(): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: mkdtempSync(join(scratch(), 'compiled-')) }
}

let scratchFolder: string | undefined
/** A folder that is there until the benchmark ends */
function scratch(): string {
  if (scratchFolder === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'ipdr-bench-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    scratchFolder = folder
  }
  return scratchFolder
}

async function commitOf(checkout: string): Promise<string> {
  const git = async (...args: string[]): Promise<string> =>
    (await tryRun('git', ['-C', checkout, ...args])).stdout.trim()
  const changed = (await git('status', '--porcelain', '--', 'src')) === '' ? '' : ' with changes'
  return `${(await git('rev-parse', '--short', 'HEAD')) || 'unknown'}${changed}`
}
