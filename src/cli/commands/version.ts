import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { dirname, join } from 'node:path'
import { getAsset, isSea } from 'node:sea'
import type { Command } from 'commander'
import { jsonLine } from '../output/printable.ts'
import type { CliContext } from '../process/context.ts'

/**
 * A release can't ask git for its commit. It has this file instead, with the output of `ipdr version --json` from the
 * build: beside package.json in the npm package and the container image (there `{ "commit": "..." }` is enough), and as
 * an asset in a single-file executable.
 */
const buildFile = 'build.json'

export interface Versions {
  ipdr: string
  /** Ends in `-dirty` if files have changed since; `unknown` without git and without a build file */
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

/** The version of ipdr alone, for which git need not run */
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
      const lines = Object.entries(all).map(([name, version]) => `${name.padEnd(6)} ${version}\n`)
      stdout.write(json === true ? jsonLine(all) : lines.join(''))
    })
}

function readBuild(): Partial<Versions> {
  if (isSea()) {
    return JSON.parse(getAsset(buildFile, 'utf8')) as Versions
  }
  const { directory } = readPackage('..')
  // git is asked only in a clone: if ipdr is installed in another project, git would answer for that one
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

/** @param specifier a package, or `..` for the one that this file belongs to */
function readPackage(specifier: string): { directory: string; version: string } {
  const file = findPackageJSON(specifier, import.meta.url)!
  return { directory: dirname(file), version: (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version }
}
