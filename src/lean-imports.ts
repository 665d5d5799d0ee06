/**
 * Helia's entry imports all of its defaults: WebRTC with its native library, HTTP routers, UPnP, the certificates of
 * AutoTLS. We use none of them (src/ipfs/node/libp2p.ts says what instead), yet they are a third of what the process
 * loads and 35 MiB of its memory. So both imports that lead there get a function that throws.
 * docs/decisions/008-lean-imports.md says which change of Helia would make this file unnecessary.
 */
import { registerHooks } from 'node:module'

interface Unused {
  importedBy: string
  specifier: RegExp
  name: string
}

const unused: Unused[] = [
  { importedBy: '/@helia/libp2p/', specifier: /\/libp2p-defaults\.js$/, name: 'libp2pDefaults' },
  { importedBy: '/helia/dist/src/index.js', specifier: /^@helia\/http$/, name: 'withHTTP' },
]
/** Those that an import has not led to yet; undefined: nothing is left out */
let notMet: Set<Unused> | undefined

/**
 * To be called before Helia is imported, for the whole process. A bundle resolves no imports when it runs, so nothing
 * happens there.
 */
export function leaveOutUnused(): void {
  if (notMet !== undefined || !import.meta.url.endsWith('.ts')) {
    return
  }
  const waiting = new Set(unused)
  notMet = waiting
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const found = unused.find(
        ({ importedBy, specifier: pattern }) =>
          pattern.test(specifier) && context.parentURL?.includes(importedBy) === true,
      )
      if (found === undefined) {
        return nextResolve(specifier, context)
      }
      waiting.delete(found)
      const source = `export function ${found.name} () { throw new Error('${found.name} is left out of this program') }`
      return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true }
    },
  })
}

/**
 * The functions that Helia, once imported, should have got from elsewhere and did not; empty where nothing was to be
 * left out
 */
export function notLeftOut(): string[] {
  return [...(notMet ?? [])].map(({ name }) => name)
}
