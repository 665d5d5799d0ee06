/**
 * Makes what the container image has of ours: build-image.ts <folder> <commit>; see the Dockerfile
 *
 * - dist/: the bundle of the program, LevelDB's library, and compiled/ with what V8 has made of it
 * - dist/licenses.txt, dist/packages.json: what is in the bundle; scripts/sbom.ts reads the latter
 * - build.json: see src/cli/commands/version.ts
 */
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { versions } from '../src/cli/commands/version.ts'
import { bundle, compileBundle, projectDirectory } from './bundle.ts'

const [folder, commit] = process.argv.slice(2)
if (folder === undefined || commit === undefined) {
  throw new Error('usage: build-image.ts <folder> <commit>')
}
const directory = resolve(folder, 'dist')
const prebuilds = `prebuilds/linux-${process.arch}`
await mkdir(directory, { recursive: true })
const { packages } = await bundle({ directory, licenses: join(directory, 'licenses.txt') })
await writeFile(join(directory, 'packages.json'), `${JSON.stringify(packages)}\n`)
await cp(join(projectDirectory, 'node_modules/classic-level', prebuilds), join(directory, prebuilds), {
  recursive: true,
  // the base has glibc
  filter: file => !file.endsWith('.musl.node'),
})
await writeFile(join(resolve(folder), 'build.json'), `${JSON.stringify({ ...versions(), commit })}\n`)
await compileBundle(directory)
