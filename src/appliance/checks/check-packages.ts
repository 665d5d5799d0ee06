import { Socket } from 'node:net'
import { Patches, type PatchesInit } from '../../ipfs/node/patches/patches.ts'
import { notLeftOut } from '../../lean-imports.ts'
import type { Logger } from '../../log.ts'

/** What http/direct-bodies.ts uses of a socket, which Node keeps to itself */
const socketSlots = ['kBuffer', 'kBufferCb', 'kBufferGen']

/**
 * Checks at the start all that this program changes in the packages that it uses and in Node, see docs/decisions. What
 * the server can do without is a warning.
 *
 * @returns what the IPFS node asks before it changes a package
 * @throws PackageError
 */
export function checkPackages({ log }: { log: Logger }, init: PatchesInit = {}): Patches {
  const patches = new Patches({ log }, init)
  const loaded = notLeftOut()
  if (loaded.length > 0) {
    log.warn('packages are not as expected, unused parts of them take memory', { parts: loaded })
  }
  const slots = Object.getOwnPropertySymbols(new Socket()).map(({ description }) => description)
  const missing = socketSlots.filter(name => !slots.includes(name))
  if (missing.length > 0) {
    const { version } = process
    log.warn('Node is not as expected, large uploads go through its parser', { version, missing })
  }
  return patches
}
