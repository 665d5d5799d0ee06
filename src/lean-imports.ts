/**
 * Helia's entry imports all of its defaults: WebRTC with its native library, HTTP routers, UPnP, the certificates of
 * AutoTLS. We use none of them (src/ipfs/node/libp2p.ts says what instead), yet they are a third of what the process
 * loads and 35 MiB of its memory. So both imports that lead there get a function that throws. So do imports of other
 * packages that lead to many files which nothing uses.
 * docs/decisions/008-lean-imports.md says which change of Helia would make this file unnecessary.
 */
import { registerHooks } from 'node:module'

interface Unused {
  /** What imports it */
  package: string
  specifier: RegExp
  exported: string
}

const unused: Unused[] = [
  { package: '@helia/libp2p', specifier: /\/libp2p-defaults\.js$/, exported: 'libp2pDefaults' },
  { package: 'helia', specifier: /^@helia\/http$/, exported: 'withHTTP' },
  // finds files by patterns, to add whole folders and to read all blocks at once
  { package: 'blockstore-fs', specifier: /^it-glob$/, exported: 'default' },
  { package: '@helia/unixfs', specifier: /^it-glob$/, exported: 'default' },
  // messages in 50 languages
  { package: 'zod', specifier: /\/locales\/index\.js$/, exported: 'locales' },
]
/** Those that an import has not led to yet; undefined: nothing is left out */
let notMet: Set<Unused> | undefined

/**
 * To be called before Helia is imported, for the whole process. A bundle resolves no imports when it runs, so nothing
 * happens there: scripts/bundle.ts leaves out the same.
 */
export function leaveOutUnused(): void {
  if (notMet !== undefined || !import.meta.url.endsWith('.ts')) {
    return
  }
  const waiting = new Set(unused)
  notMet = waiting
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const found = findUnused(specifier, context.parentURL)
      if (found === undefined) {
        return nextResolve(specifier, context)
      }
      waiting.delete(found)
      return { url: `data:text/javascript,${encodeURIComponent(sourceOf(found, specifier))}`, shortCircuit: true }
    },
  })
}

/**
 * The module that stands for one that is left out; undefined where it is not
 *
 * @param importer path or URL of the file that imports it, with slashes
 */
export function unusedModule(specifier: string, importer: string): string | undefined {
  const found = findUnused(specifier, importer)
  return found && sourceOf(found, specifier)
}

function findUnused(specifier: string, importer = ''): Unused | undefined {
  return unused.find(
    ({ package: name, specifier: pattern }) => pattern.test(specifier) && importer.includes(`/node_modules/${name}/`),
  )
}

function sourceOf({ exported }: Unused, specifier: string): string {
  const named = exported === 'default' ? 'default function' : `function ${exported}`
  return `export ${named} () { throw new Error('this program leaves out ${specifier}') }`
}

/** What should have been left out once everything is imported, and was not; empty where nothing was to be left out */
export function notLeftOut(): string[] {
  return Array.from(notMet ?? [], ({ exported, package: name }) => `${exported} of ${name}`)
}
