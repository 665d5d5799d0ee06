import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { pageSources } from '../src/http/pages/page-sources.ts'
import { installedVersion, patchedPackages } from '../src/ipfs/node/patches/patches.ts'

export const projectDirectory = resolve(import.meta.dirname, '..')

export interface BundleInit {
  /** File to write the bundle to */
  file: string
  /** File to write the licences to, of all that is in the bundle */
  licenses: string
  plugins?: Plugin[]
}

/** A bundle has no packages beside it: what hands the source of one to a thread gets it as a text */
const bcryptText: Plugin = {
  name: 'source of bcryptjs',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]src[\\/]access[\\/]bcrypt-source\.ts$/ }, async () => {
      const text = await readFile(join(projectDirectory, 'node_modules/bcryptjs/umd/index.js'), 'utf8')
      return { contents: `export function bcryptSource() { return ${JSON.stringify(text)} }`, loader: 'js' }
    })
  },
}

/** What the pages are made of beside ui/ */
const pagePackages = ['node_modules/preact', 'node_modules/@preact/signals', 'node_modules/@preact/signals-core']

/** Nor has it the sources of the pages: it gets what is made of them */
const pages: Plugin = {
  name: 'sources of the pages',
  setup: ({ onLoad }) => {
    onLoad({ filter: /[\\/]src[\\/]http[\\/]pages[\\/]page-sources\.ts$/ }, async () => {
      const text = JSON.stringify(await pageSources())
      return { contents: `export async function pageSources() { return ${text} }`, loader: 'js' }
    })
  },
}

/**
 * Writes src/main.js and all that it imports as one CommonJS file, the only kind that a single-file executable of Node
 * 24 starts with
 */
export async function bundle({ file, licenses, plugins = [] }: BundleInit): Promise<void> {
  checkVersions()
  const { metafile } = await build({
    absWorkingDir: projectDirectory,
    entryPoints: ['src/main.js'],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    // an older Node has to be able to parse it, to say that it is too old
    target: 'node20',
    // optional parts of ssh2
    external: ['*.node'],
    plugins: [bcryptText, pages, ...plugins],
    banner: { js: "'use strict'\nconst importMetaUrl = require('node:url').pathToFileURL(__filename).href" },
    define: { 'import.meta.url': 'importMetaUrl' },
    // neither minified nor with keepNames: stack traces stay readable, and src/ipfs/hashing/hash-workers.ts sends a
    // function to a worker as text
    metafile: true,
    logLevel: 'warning',
  })
  await writeFile(licenses, await licensesOf([...Object.keys(metafile.inputs), ...pagePackages]))
}

/** A bundle can't look for the versions of its packages when it starts */
function checkVersions(): void {
  for (const [name, { version }] of Object.entries(patchedPackages)) {
    const found = installedVersion(name)
    if (found !== version) {
      throw new Error(`${name} ${found ?? 'is not installed'} instead of ${version}`)
    }
  }
}

/** @param inputs the files in the bundle */
async function licensesOf(inputs: readonly string[]): Promise<string> {
  const directories = new Set(inputs.flatMap(input => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? []))
  const texts = await Promise.all(
    [...directories].sort().map(async directory => {
      const path = join(projectDirectory, directory)
      const { license, name, version } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as {
        license?: unknown
        name: string
        version: string
      }
      const files = (await readdir(path)).filter(entry => /^(licen[cs]e|copying|notice)/i.test(entry)).sort()
      const contents = await Promise.all(files.map(async entry => await readFile(join(path, entry), 'utf8')))
      return [`${name} ${version}${typeof license === 'string' ? ` (${license})` : ''}`, ...contents].join('\n\n')
    }),
  )
  return `${texts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
