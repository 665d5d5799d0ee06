import { execFile } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build, transform, type BuildOptions, type Plugin } from 'esbuild'
import { pageSources } from '../src/http/pages/page-sources.ts'
import { installedVersion, patchedPackages } from '../src/ipfs/node/patches/patches.ts'
import { unusedModule } from '../src/lean-imports.ts'
import { firstLine, nodeFlags } from './node-flags.ts'

const compileTimeout = 120_000
export const projectDirectory = resolve(import.meta.dirname, '..')

export interface BundleInit {
  /** Folder to write the bundle to: `ipdr.cjs`, which is the program, and the files that it loads */
  directory: string
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

/** The same as src/lean-imports.ts does where there is no bundle */
const leaveOutUnused: Plugin = {
  name: 'unused modules',
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /./ }, ({ importer, path }) => {
      const contents = unusedModule(path, importer.replaceAll('\\', '/'))
      return contents === undefined ? undefined : { path, namespace: 'unused', pluginData: contents }
    })
    onLoad({ filter: /./, namespace: 'unused' }, ({ pluginData }) => ({ contents: pluginData as string, loader: 'js' }))
  },
}

/** What both passes of {@link bundle} have in common */
const common = {
  platform: 'node',
  // an older Node has to be able to parse it, to say that it is too old
  target: 'node20',
  // Shorter, but neither with other names nor with keepNames: stack traces stay readable, and
  // src/ipfs/hashing/hash-workers.ts sends a function to a worker as text. In ASCII, of which V8 keeps a byte a
  // character.
  minifyWhitespace: true,
  charset: 'ascii',
  legalComments: 'none',
  logLevel: 'warning',
} as const satisfies BuildOptions

export interface Bundle {
  /** Names of the files that `ipdr.cjs` loads */
  files: string[]
  /** Name and version of each package that is in it */
  packages: [string, string][]
}

/**
 * Writes src/main.js and all that it imports as CommonJS files, the only kind that a single-file executable of Node 24
 * starts with. What only some commands or settings need is in files of its own.
 */
export async function bundle({ directory, licenses, plugins = [] }: BundleInit): Promise<Bundle> {
  checkVersions()
  const { metafile, outputFiles } = await build({
    ...common,
    absWorkingDir: projectDirectory,
    entryPoints: { main: 'src/main.js' },
    outdir: directory,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    // esbuild splits ES modules only; they become CommonJS below
    format: 'esm',
    splitting: true,
    // optional parts of ssh2
    external: ['*.node'],
    plugins: [bcryptText, pages, leaveOutUnused, ...plugins],
    define: { 'import.meta.url': 'importMetaUrl' },
    metafile: true,
    write: false,
  })
  await mkdir(directory, { recursive: true })
  await Promise.all(
    outputFiles.map(async ({ path, text }) => {
      await writeFile(path, await commonJs(text))
    }),
  )
  await build({
    ...common,
    absWorkingDir: projectDirectory,
    entryPoints: ['scripts/bundle/program.ts'],
    outfile: join(directory, 'ipdr.cjs'),
    bundle: true,
    format: 'cjs',
    banner: { js: firstLine() },
  })
  await chmod(join(directory, 'ipdr.cjs'), 0o755)
  const packages = await packagesOf([...Object.keys(metafile.inputs), ...pagePackages])
  await writeFile(licenses, `${packages.map(({ license }) => license).join(`\n\n${'-'.repeat(80)}\n\n`)}\n`)
  return {
    files: outputFiles.map(({ path }) => basename(path)),
    packages: packages.map(({ name, version }) => [name, version]),
  }
}

/** @param text of an ES module that imports others by their paths */
async function commonJs(text: string): Promise<string> {
  const url = 'const importMetaUrl=require("node:url").pathToFileURL(__filename).href'
  const { code } = await transform(text.replace(/^#!.*\n/, ''), {
    ...common,
    // the first pass has warned of what is worth it
    logLevel: 'error',
    format: 'cjs',
    // what loads these files is `require` alone
    supported: { 'dynamic-import': false },
    banner: `"use strict";${text.includes('importMetaUrl') ? `${url};` : ''}`,
  })
  if (/[^\0-\x7f]/.test(code)) {
    throw new Error('a file of the bundle is not in ASCII, in which it is read')
  }
  return code
}

/** Has V8 compile a bundle for the Node that runs this */
export async function compileBundle(directory: string): Promise<void> {
  const script = join(import.meta.dirname, 'bundle/compile.ts')
  // V8 puts random numbers into what it compiles otherwise; all other flags have to be those of the program
  await promisify(execFile)(process.execPath, [...nodeFlags(), '--random-seed=1', script, directory], {
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: compileTimeout,
  })
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

interface Package {
  name: string
  version: string
  /** Its texts, below its name */
  license: string
}

/** @param inputs the files in the bundle */
async function packagesOf(inputs: readonly string[]): Promise<Package[]> {
  const directories = new Set(inputs.flatMap(input => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? []))
  return await Promise.all(
    [...directories].sort().map(async directory => {
      const path = join(projectDirectory, directory)
      const { license, name, version } = JSON.parse(await readFile(join(path, 'package.json'), 'utf8')) as {
        license?: unknown
        name: string
        version: string
      }
      const files = (await readdir(path)).filter(entry => /^(licen[cs]e|copying|notice)/i.test(entry)).sort()
      const contents = await Promise.all(files.map(async entry => await readFile(join(path, entry), 'utf8')))
      const title = `${name} ${version}${typeof license === 'string' ? ` (${license})` : ''}`
      return { name, version, license: [title, ...contents].join('\n\n') }
    }),
  )
}
