import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { getAsset, isSea } from 'node:sea'
import type { Command } from 'commander'
import type { CliContext } from '../process/context.ts'

/**
 * A release has no git to ask and carries `build.json` instead, which is what `ipdr version --json` printed where it was made: beside
 * package.json in the npm package and in the container image, where `{ "commit": "..." }` is enough, and inside a single-file executable.
 */
const buildFile = 'build.json'

export interface Versions {
  ipdr: string
  /** `-dirty` at its end where files have changed since; `unknown` where there is neither git nor a build file */
  commit: string
  node: string
  helia: string
}

export function versions(): Versions {
  const build = readBuild()
  return {
    ipdr: build.ipdr ?? readPackage('..').version,
    commit: build.commit ?? 'unknown',
    node: process.versions.node,
    helia: build.helia ?? readPackage('helia').version,
  }
}

/** The version of ipdr alone, which takes no process of git */
export function ipdrVersion(): string {
  return isSea() ? readBuild().ipdr! : readPackage('..').version
}

export function addVersionCommand(program: Command, { stdout }: CliContext): void {
  program
    .command('version')
    .description('Print the versions of ipdr, Node and Helia, and the commit')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => {
      const all = versions()
      const lines = Object.entries(all).map(([name, version]) => `${name.padEnd(6)} ${version}`)
      stdout.write(`${json === true ? JSON.stringify(all) : lines.join('\n')}\n`)
    })
}

function readBuild(): Partial<Versions> {
  if (isSea()) {
    return JSON.parse(getAsset(buildFile, 'utf8')) as Versions
  }
  const { directory } = readPackage('..')
  // only a clone is asked: where ipdr is installed, git would answer for the project that uses it
  if (existsSync(join(directory, '.git'))) {
    return commitOf(directory)
  }
  const file = join(directory, buildFile)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Partial<Versions>) : {}
}

function commitOf(directory: string): { commit?: string } {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--exclude=*', '--abbrev=40', '--dirty'], {
    cwd: directory,
    encoding: 'utf8',
  })
  return status === 0 ? { commit: stdout.trim() } : {}
}

/** @param specifier - a package, or `..` for the one that this file belongs to */
function readPackage(specifier: string): { directory: string; version: string } {
  const file = findPackageJSON(specifier, import.meta.url)!
  return { directory: dirname(file), version: (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version }
}
