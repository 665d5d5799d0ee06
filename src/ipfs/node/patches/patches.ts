/*
 * src/ipfs/node/patches: all that changes a package of somebody else while the program runs
 *
 *   patches.ts             which packages these are, in which versions, and whether they are as expected: begin here
 *   bounded-bitswap.ts     bitswap serves and receives in bounded memory, with bitswap-parts, want-rounds,
 *                          message-budget, message-meter, block-messages and block-hashes
 *   bounded-cipher.ts      the cipher of private swarms survives large messages
 *   lean-noise, lean-yamux, lean-tcp, lean-peer-store     the same bytes with less work
 *
 * A patch relies on parts that its package never promised to keep. So package.json pins each version exactly, and each
 * patch says here what it uses before it uses it. docs/decisions says for each why it exists, what it gains, and which
 * change of the package would make it unnecessary.
 *
 * May import packages of libp2p and Helia, src/scheduling, and types of src/log.ts; nothing else of src/ipfs.
 */
import { readFileSync } from 'node:fs'
import type { Logger } from '../../../log.ts'

interface PatchedPackage {
  /** The version that the patch was written and tested for; package.json pins the same */
  version: string
  /**
   * Whether the node must not run with the package as it comes. Otherwise it goes on without the patch, only slower or
   * larger.
   */
  isNeeded: boolean
}

export const patchedPackages = {
  helia: { version: '7.1.15', isNeeded: true },
  '@helia/bitswap': { version: '4.0.19', isNeeded: true },
  '@helia/libp2p': { version: '2.1.4', isNeeded: false },
  libp2p: { version: '3.3.11', isNeeded: true },
  '@libp2p/pnet': { version: '3.0.27', isNeeded: true },
  xsalsa20: { version: '1.2.0', isNeeded: true },
  '@chainsafe/libp2p-noise': { version: '17.0.0', isNeeded: false },
  '@chainsafe/libp2p-yamux': { version: '8.0.1', isNeeded: false },
  '@libp2p/tcp': { version: '11.0.28', isNeeded: false },
  '@libp2p/peer-store': { version: '12.0.28', isNeeded: false },
} as const satisfies Record<string, PatchedPackage>

export type PatchedName = keyof typeof patchedPackages

/** What a patch uses of a part: the type that `typeof` gives for each, by its path such as `crypto.encrypt` */
export type Shape = Readonly<Record<string, 'function' | 'number' | 'object' | 'string'>>

/**
 * A package that the node can't run without patching is not as the patch expects it; the message names package, version
 * and difference
 */
export class PackageError extends Error {
  static readonly name = 'PackageError'
  readonly name = 'PackageError'
  readonly expected = true
}

export interface PatchesInit {
  /**
   * Finds the version of an installed package; undefined: the version can't be told
   * @default {@link installedVersion}
   */
  versionOf?: ((name: PatchedName) => string | undefined) | undefined
}

/**
 * Tells each patch whether its package is as it expects: first the versions of all packages at once, then each part
 * before it is changed
 */
export class Patches {
  readonly #log: Logger
  /** Packages that are left as they come */
  readonly #unpatched = new Set<PatchedName>()

  /** @throws PackageError naming every needed package that has another version */
  constructor({ log }: { log: Logger }, { versionOf = installedVersion }: PatchesInit = {}) {
    this.#log = log
    const names = Object.keys(patchedPackages) as PatchedName[]
    const others = names.flatMap(name => {
      const found = versionOf(name)
      const { version, isNeeded } = patchedPackages[name]
      return found === undefined || found === version ? [] : [{ name, found, version, isNeeded }]
    })
    const fatal = others.filter(({ isNeeded }) => isNeeded)
    if (fatal.length > 0) {
      const list = fatal.map(({ name, found, version }) => `${name} ${found} instead of ${version}`).join(', ')
      throw new PackageError(`packages have unexpected versions: ${list}; install those of package-lock.json by npm ci`)
    }
    for (const { name, found, version } of others) {
      this.#leave(name, `version ${found} instead of ${version}`)
    }
  }

  /** Whether the patch of a package is to be applied at all */
  applies(name: PatchedName): boolean {
    return !this.#unpatched.has(name)
  }

  /**
   * Whether a part of a package has all that its patch uses
   *
   * @returns false where the package is to be left as it comes; the first time, the log says so
   * @throws PackageError where something is missing and the patch is needed
   */
  fits(name: PatchedName, part: unknown, shape: Shape): boolean {
    if (!this.applies(name)) {
      return false
    }
    const missing = Object.entries(shape).find(([path, type]) => typeof valueAt(part, path) !== type)
    if (missing === undefined) {
      return true
    }
    this.#report(name, `${missing[0]} is no ${missing[1]}`)
    return false
  }

  #report(name: PatchedName, difference: string): void {
    const { version, isNeeded } = patchedPackages[name]
    if (isNeeded) {
      throw new PackageError(`package ${name} ${version} is not as expected: ${difference}`)
    }
    this.#leave(name, difference)
  }

  #leave(name: PatchedName, difference: string): void {
    this.#unpatched.add(name)
    this.#log.warn('a package is not as expected, going on without its patch', { package: name, difference })
  }
}

function valueAt(part: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (value as Record<string, unknown> | null | undefined)?.[name], part)
}

/** A bundle has no packages beside it: those in it are checked when it is made */
const isBundle = !import.meta.url.endsWith('.ts')
const modules = new URL('../../../../node_modules/', import.meta.url)

/** @returns undefined in a bundle, and where the package is not in the folder of this program's packages */
export function installedVersion(name: string): string | undefined {
  if (isBundle) {
    return undefined
  }
  try {
    return (JSON.parse(readFileSync(new URL(`${name}/package.json`, modules), 'utf8')) as { version: string }).version
  } catch {
    return undefined
  }
}
