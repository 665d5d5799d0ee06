/**
 * Helia's entry imports all of its defaults: WebRTC with its native library, HTTP routers, UPnP, the certificates of AutoTLS. We use none of them
 * (ipfs/libp2p.ts says what instead), but they are a third of what the process loads and 35 MiB of its memory. Both functions that lead there
 * are left out; whoever calls one is told so. An entry of Helia's own without defaults would make this file unnecessary.
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

registerHooks({
  resolve(specifier, context, nextResolve) {
    const found = unused.find(
      ({ importedBy, specifier: pattern }) =>
        pattern.test(specifier) && context.parentURL?.includes(importedBy) === true,
    )
    if (found === undefined) {
      return nextResolve(specifier, context)
    }
    const source = `export function ${found.name} () { throw new Error('${found.name} is left out of this program') }`
    return { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true }
  },
})
