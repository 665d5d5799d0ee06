/**
 * Has V8 compile a bundle, and keeps the result: compile.ts <folder of the bundle>
 *
 * Functions are compiled when they are first called, so this loads what a start of the server and the other commands
 * load. It starts nothing: what then happens at which time would be in the result, and two builds would differ.
 *
 * To be run with the flags of src/main.js, as V8 takes no compiled code that was made with others.
 */
import { readFileSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { ChunkLoader } from './chunk-loader.ts'
import { compiledFolder, compiledSuffix } from './names.ts'

/** What `import()` in src/ leads to from the start of the server on, and of other commands */
const loaded = ['program', 'appliance', 'other-commands']

const directory = resolve(process.argv[2]!)
const program = join(directory, 'ipdr.cjs')
const chunks = (await readdir(directory)).filter(name => name.endsWith('.cjs') && name !== 'ipdr.cjs').sort()
const loader = new ChunkLoader({
  program,
  readChunk: name => readFileSync(join(directory, name)),
  readCompiled: () => undefined,
  require: createRequire(program),
})
for (const source of loaded) {
  loader.load(chunks.find(name => name.startsWith(`${source}-`))!)
}
const folder = join(directory, compiledFolder())
await mkdir(folder, { recursive: true })
for (const name of chunks) {
  if (!loader.scripts.has(name)) {
    loader.compile(name)
  }
  await writeFile(join(folder, `${name}${compiledSuffix}`), loader.scripts.get(name)!.createCachedData())
}
