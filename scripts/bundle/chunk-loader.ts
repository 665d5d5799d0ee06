import { dirname, join } from 'node:path'
import { debuglog } from 'node:util'
import { Script } from 'node:vm'

/** NODE_DEBUG=ipdr tells of each file of the bundle whether it was compiled already */
const debug = debuglog('ipdr')

type Factory = (exports: object, require: Require, module: Module, filename: string, directory: string) => void
type Require = (name: string) => unknown

interface Module {
  exports: object
}

export interface ChunkLoaderInit {
  /** Path of the program; its folder is that of the bundle */
  program: string
  /** The text of one of the bundle's files, in ASCII */
  readChunk: (name: string) => Buffer
  /** What V8 has made of it; undefined: it is to be compiled */
  readCompiled: (name: string) => Buffer | undefined
  /** Loads what is no file of the bundle */
  require: Require
}

/**
 * Loads the CommonJS files that scripts/bundle.ts makes, with V8's compiled code of each. Node's own cache of compiled
 * code can't be shipped: its folder has a name for one user and one kind of processor, and code from inside a
 * single-file executable is not cached at all.
 */
export class ChunkLoader {
  readonly #init: ChunkLoaderInit
  readonly #modules = new Map<string, Module>()
  /** All that were compiled, by the names of their files */
  readonly scripts = new Map<string, Script>()

  constructor(init: ChunkLoaderInit) {
    this.#init = init
  }

  /** Compiles a file without running it; false: V8 does not take the compiled code that belongs to it */
  compile(name: string): boolean {
    const { program, readChunk, readCompiled } = this.#init
    const cachedData = readCompiled(name)
    const text = readChunk(name).toString('latin1')
    const script = new Script(`(function (exports, require, module, __filename, __dirname) {${text}\n})`, {
      filename: join(dirname(program), name),
      ...(cachedData !== undefined && { cachedData }),
    })
    this.scripts.set(name, script)
    const isTaken = cachedData !== undefined && script.cachedDataRejected === false
    debug('%s %s', name, isTaken ? 'was compiled already' : 'is compiled')
    return isTaken
  }

  load(name: string): object {
    const known = this.#modules.get(name)
    if (known !== undefined) {
      return known.exports
    }
    const { program, require } = this.#init
    const module: Module = { exports: {} }
    this.#modules.set(name, module)
    if (!this.scripts.has(name)) {
      this.compile(name)
    }
    const factory = this.scripts.get(name)!.runInThisContext() as Factory
    const load: Require = specifier =>
      /^\.\/[^/]+\.cjs$/.test(specifier) ? this.load(specifier.slice(2)) : require(specifier)
    factory.call(module.exports, module.exports, load, module, join(dirname(program), name), dirname(program))
    return module.exports
  }
}
