import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join, posix } from 'node:path'

/** What a browser loads from `/ui/`, by its path there; text */
export type PageSources = Record<string, string>

const directory = join(import.meta.dirname, '../../../ui')

/** The packages that the pages import, and their names as modules of the pages */
const packages: Record<string, string> = {
  preact: 'lib/preact.js',
  'preact/hooks': 'lib/hooks.js',
  '@preact/signals': 'lib/signals.js',
  '@preact/signals-core': 'lib/signals-core.js',
}

/**
 * The files of ui/ as browsers take them: without types, and with the paths of packages instead of their names. There
 * is nothing to build before a start, and nothing that could be outdated. Bundles of this program have the result of
 * this function inside instead (scripts/bundle.ts).
 *
 * @see docs/decisions/016-pages-without-a-build.md
 */
export async function pageSources(): Promise<PageSources> {
  const own = globSync('**/*.{ts,css,svg,html}', { cwd: directory }).map(path => path.replaceAll('\\', '/'))
  const files = [
    ...own.filter(path => !path.endsWith('.d.ts')).map(path => ({ path, file: join(directory, path) })),
    ...Object.entries(packages).map(([name, path]) => ({ path, file: new URL(import.meta.resolve(name)) })),
  ]
  const texts = await Promise.all(
    files.map(async ({ file, path }) => {
      const text = await readFile(file, 'utf8')
      return [path, /\.(ts|js)$/.test(path) ? moduleText(path, text) : text] as const
    }),
  )
  return Object.fromEntries(texts)
}

/** `from "preact"`, `import('preact')` and the like */
const bareImport = /\b(from\s*|import\s*\(?\s*)(["'])([@a-z][\w@/-]*)\2/g

function moduleText(path: string, text: string): string {
  const code = path.endsWith('.ts') ? withoutTypes(text) : text.replace(/\n\/\/# sourceMappingURL=.*/, '')
  return code.replace(bareImport, (statement, word: string, quote: string, name: string) => {
    const target = packages[name]
    if (target === undefined) {
      throw new Error(`ui/${path} has ${statement}, which no browser can load`)
    }
    const relative = posix.relative(posix.dirname(path), target)
    return `${word}${quote}${relative.startsWith('.') ? relative : `./${relative}`}${quote}`
  })
}

/** Node calls this function experimental, and says so on stderr, where an operator could do nothing about it */
function withoutTypes(text: string): string {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return stripTypeScriptTypes(text)
  } finally {
    process.emitWarning = emitWarning
  }
}
