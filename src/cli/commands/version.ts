import { readFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import type { Command } from 'commander'
import type { CliContext } from '../context.ts'

export interface Versions {
  ipdr: string
  node: string
  helia: string
}

export function versions (): Versions {
  return { ipdr: versionOf('..'), node: process.versions.node, helia: versionOf('helia') }
}

export function addVersionCommand (program: Command, { stdout }: CliContext): void {
  program.command('version')
    .description('Print the versions of ipdr, Node and Helia')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => {
      const all = versions()
      const lines = Object.entries(all).map(([name, version]) => `${name.padEnd(5)} ${version}`)
      stdout.write(`${json === true ? JSON.stringify(all) : lines.join('\n')}\n`)
    })
}

/** @param specifier - a package, or `..` for the one that this file belongs to */
function versionOf (specifier: string): string {
  const file = findPackageJSON(specifier, import.meta.url)
  return file === undefined ? 'unknown' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
