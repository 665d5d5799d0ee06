/**
 * Makes the npm package's own files; `npm pack` calls it before and after, with `clean`.
 *
 * - dist/ipdr.cjs with the files beside it, dist/licenses.txt: the program with all packages that it uses. Node runs no
 *   TypeScript below node_modules, and with a package npm would install newer versions of its dependencies than were
 *   tested, and React Native as a peer dependency of one of them. It has no compiled code, which would be of use for
 *   one version of Node alone: what Node compiles at the first start, it keeps for the next ones.
 * - dist/prebuilds/: LevelDB for every platform, where node-gyp-build looks for it.
 * - build.json: see src/cli/commands/version.ts.
 * - package.json without dependencies, while npm packs: npm takes no other file.
 */
import { copyFile, cp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { versions } from '../src/cli/commands/version.ts'
import { bundle, projectDirectory } from './bundle.ts'

const path = (name: string): string => join(projectDirectory, name)
const packageFile = path('package.json')
const originalFile = path('package.json.orig')

async function clean(): Promise<void> {
  if (existsSync(originalFile)) {
    await rename(originalFile, packageFile)
  }
  await Promise.all(
    ['dist', 'build.json'].map(async name => {
      await rm(path(name), { recursive: true, force: true })
    }),
  )
}

async function build(): Promise<void> {
  await bundle({ directory: path('dist'), licenses: path('dist/licenses.txt') })
  await cp(path('node_modules/classic-level/prebuilds'), path('dist/prebuilds'), { recursive: true })
  await writeFile(path('build.json'), `${JSON.stringify(versions())}\n`)
  await replacePackageFile()
}

async function replacePackageFile(): Promise<void> {
  const {
    allowScripts: _,
    dependencies: _0,
    devDependencies: _1,
    overrides: _2,
    scripts: { prepack, postpack },
    ...rest
  } = JSON.parse(await readFile(packageFile, 'utf8')) as Record<string, unknown> & { scripts: Record<string, string> }
  await copyFile(packageFile, originalFile)
  await writeFile(
    `${packageFile}.new`,
    `${JSON.stringify({ ...rest, scripts: { prepack, postpack } }, undefined, 2)}\n`,
  )
  await rename(`${packageFile}.new`, packageFile)
}

// before a build, too: an earlier one may have been interrupted
await clean()
if (process.argv[2] !== 'clean') {
  await build()
}
