import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { getAsset, isSea } from 'node:sea'
import type { Command } from 'commander'
import type { CliContext } from '../context.ts'

/**
 * A release carries `build.json`, which is what `ipdr version --json` printed where it was made: beside package.json in the npm package
 * and in the container image, of which only `commit` is read, and as an asset in a single-file executable, which has no other files.
 */
const buildFile = 'build.json'

export interface Versions {
  ipdr: string
  /** `-dirty` at its end where files have changed since; `unknown` without git */
  commit: string
  node: string
  helia: string
}

export function versions (): Versions {
  const { node } = process.versions
  if (isSea()) {
    return { ...JSON.parse(getAsset(buildFile, 'utf8')) as Versions, node }
  }
  const { directory, version } = packageOf('..')
  return { ipdr: version, commit: commitOf(directory), node, helia: packageOf('helia').version }
}

/** The version of ipdr alone: asks no git */
export function ipdrVersion (): string {
  return isSea() ? versions().ipdr : packageOf('..').version
}

export function addVersionCommand (program: Command, { stdout }: CliContext): void {
  program.command('version')
    .description('Print the versions of ipdr, Node and Helia, and the commit')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => {
      const all = versions()
      const lines = Object.entries(all).map(([name, version]) => `${name.padEnd(6)} ${version}`)
      stdout.write(`${json === true ? JSON.stringify(all) : lines.join('\n')}\n`)
    })
}

/** @param specifier - a package, or `..` for the one that this file belongs to */
function packageOf (specifier: string): { directory: string, version: string } {
  const file = findPackageJSON(specifier, import.meta.url)!
  return { directory: dirname(file), version: (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version }
}

/** Only a clone is asked for its commit: where ipdr is installed, git would answer for the project that uses it */
function commitOf (directory: string): string {
  if (existsSync(join(directory, '.git'))) {
    const { status, stdout } = spawnSync('git', ['describe', '--always', '--exclude=*', '--abbrev=40', '--dirty'], { cwd: directory, encoding: 'utf8' })
    return status === 0 ? stdout.trim() : 'unknown'
  }
  const file = join(directory, buildFile)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Versions).commit : 'unknown'
}
