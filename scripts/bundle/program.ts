/**
 * Where the bundle begins: `ipdr.cjs` of the npm package and of the container image, and the script of an executable.
 * What is in its other files is `src`. An older Node has to be able to run this, to say that it is too old.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getRawAsset, isSea } from 'node:sea'
import { ChunkLoader } from './chunk-loader.ts'
import { compiledFolder, compiledSuffix, mainChunk } from './names.ts'

/** V8 takes compiled code of its own version alone, and does not look whether it is for this processor */
const folder = join(__dirname, compiledFolder())

function inExecutable(): ChunkLoader {
  return new ChunkLoader({
    program: __filename,
    readChunk: name => Buffer.from(getRawAsset(name)),
    readCompiled: () => undefined,
    require,
  })
}

function inFolder(): ChunkLoader {
  return new ChunkLoader({
    program: __filename,
    readChunk: name => readFileSync(join(__dirname, name)),
    readCompiled: name => {
      const file = join(folder, `${name}${compiledSuffix}`)
      return existsSync(file) ? readFileSync(file) : undefined
    },
    require,
  })
}

const loader = isSea() ? inExecutable() : inFolder()
// where V8 does not take it, such as with other flags, Node keeps what it compiles for the next start: see src/main.js
if (loader.compile(mainChunk) || isSea()) {
  loader.load(mainChunk)
} else {
  require(join(__dirname, mainChunk))
}
