import { once } from 'node:events'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { Worker } from 'node:worker_threads'

/** What a browser loads from `/ui/`, by its path there; text */
export type PageSources = Record<string, string>

const directory = join(import.meta.dirname, '../../../ui')
/** Milliseconds; it takes a tenth of a second */
const timeout = 30_000

/** The packages that the pages import, and their names as modules of the pages */
const packages: Record<string, string> = {
  preact: 'lib/preact.js',
  'preact/hooks': 'lib/hooks.js',
  '@preact/signals': 'lib/signals.js',
  '@preact/signals-core': 'lib/signals-core.js',
}

/**
 * Node takes a tenth of a second to load what takes types off, so that is done on a thread. Node also calls it
 * experimental on stderr, where an operator could do nothing about it.
 */
const threadSource = `
const { stripTypeScriptTypes } = require('node:module')
const { parentPort, workerData } = require('node:worker_threads')
process.emitWarning = () => {}
parentPort.postMessage(workerData.map(text => stripTypeScriptTypes(text)))
`

/** `from "preact"`, `import('preact')` and the like */
const bareImport = /\b(from\s*|import\s*\(?\s*)(["'])([@a-z][\w@/-]*)\2/g

/**
 * The files of ui/ as browsers take them: without types, and with the paths of packages instead of their names. There
 * is nothing to build before a start, and nothing that could be outdated. Bundles of this program have the result of
 * this function inside instead (scripts/bundle.ts).
 *
 * @see docs/decisions/016-pages-without-a-build.md
 */
export async function pageSources(): Promise<PageSources> {
  const own = globSync('**/*.{ts,css,svg,html}', { cwd: directory }).map(path => path.replaceAll('\\', '/'))
  const files = await Promise.all(
    own.map(async path => ({ path, text: await readFile(join(directory, path), 'utf8') })),
  )
  const modules = files.filter(({ path }) => path.endsWith('.ts'))
  const codes = await withoutTypes(modules.map(({ text }) => text))
  const libraries = await Promise.all(
    Object.entries(packages).map(async ([name, path]) => {
      const text = await readFile(new URL(import.meta.resolve(name)), 'utf8')
      return { path, text: text.replace(/\n\/\/# sourceMappingURL=.*/, '') }
    }),
  )
  return Object.fromEntries([
    ...files.map(({ path, text }) => [path, text]),
    ...modules.map(({ path }, i) => [path, withPaths(path, codes[i]!)]),
    ...libraries.map(({ path, text }) => [path, withPaths(path, text)]),
  ])
}

async function withoutTypes(texts: readonly string[]): Promise<string[]> {
  const worker = new Worker(threadSource, { eval: true, execArgv: [], workerData: texts })
  try {
    const [codes] = (await once(worker, 'message', { signal: AbortSignal.timeout(timeout) })) as [string[]]
    return codes
  } finally {
    await worker.terminate()
  }
}

function withPaths(path: string, code: string): string {
  return code.replace(bareImport, (statement, word: string, quote: string, name: string) => {
    const target = packages[name]
    if (target === undefined) {
      throw new Error(`ui/${path} has ${statement}, which no browser can load`)
    }
    const relative = posix.relative(posix.dirname(path), target)
    return `${word}${quote}${relative.startsWith('.') ? relative : `./${relative}`}${quote}`
  })
}
