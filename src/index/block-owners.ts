import type { Digest } from '../oci/digest.ts'
import type { Index } from './index.ts'
import { prefixes, shortKey, within } from './keys.ts'
import type { Level } from './level-scan.ts'

type IsMeant = (repository: string) => boolean

export interface BlockOwnersComponents {
  db: Pick<Level, 'iterator' | 'keys'>
  /** Has the last word: an older version of this program deletes a record and leaves what this one looks up */
  records: Pick<Index, 'blob' | 'isLinked' | 'manifest'>
}

/**
 * Looks up which repositories a block belongs to. It holds nothing in memory, and reads one range of keys for the block
 * and one for each blob that has it. A repository is compared with its records only once it is meant.
 */
export class BlockOwners {
  readonly #components: BlockOwnersComponents

  constructor(components: BlockOwnersComponents) {
    this.#components = components
  }

  async isOwned(
    hash: Uint8Array,
    isMeant: IsMeant,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): Promise<boolean> {
    const prefix = prefixes.ownersOf(shortKey(hash))
    // many manifests of one repository come one after the other, and share a block of all image roots
    const isMeantOnce = once(isMeant)
    for await (const key of this.#components.db.keys(within(prefix))) {
      signal?.throwIfAborted()
      const owner = key.slice(prefix.length + 1)
      const found =
        key[prefix.length] === '/'
          ? await this.#isManifestOf(owner, isMeantOnce)
          : await this.#isLinked(owner, isMeant, signal)
      if (found) {
        return true
      }
    }
    return false
  }

  /**
   * Whether a block is of a manifest or a blob that some repository has; `unlinked`: only of blobs that none has;
   * `none`: of nothing here
   */
  async ownership(hash: Uint8Array): Promise<'owned' | 'unlinked' | 'none'> {
    const prefix = prefixes.ownersOf(shortKey(hash))
    let answer: 'unlinked' | 'none' = 'none'
    for await (const key of this.#components.db.keys(within(prefix))) {
      const owner = key.slice(prefix.length + 1)
      const isManifest = key[prefix.length] === '/'
      if (await (isManifest ? this.#isManifestOf(owner, () => true) : this.#isLinked(owner, () => true))) {
        return 'owned'
      }
      answer = isManifest ? answer : 'unlinked'
    }
    return answer
  }

  async isBlobOwned(digest: Digest, isMeant: IsMeant): Promise<boolean> {
    return await this.#isLinked(shortKey(digest), isMeant)
  }

  async *manifestsWith(hash: Uint8Array): AsyncGenerator<{ repository: string; digest: Digest }> {
    const prefix = `${prefixes.ownersOf(shortKey(hash))}/`
    for await (const key of this.#components.db.keys(within(prefix))) {
      const [repository, digest] = splitOwner(key.slice(prefix.length))
      if ((await this.#components.records.manifest(repository, digest)) !== undefined) {
        yield { repository, digest }
      }
    }
  }

  async #isManifestOf(owner: string, isMeant: IsMeant): Promise<boolean> {
    const [repository, digest] = splitOwner(owner)
    return isMeant(repository) && (await this.#components.records.manifest(repository, digest)) !== undefined
  }

  async #isLinked(blob: string, isMeant: IsMeant, signal?: AbortSignal): Promise<boolean> {
    const { db, records } = this.#components
    const prefix = prefixes.linkedTo(blob)
    for await (const [key, value] of db.iterator(within(prefix))) {
      signal?.throwIfAborted()
      const repository = key.slice(prefix.length)
      if (isMeant(repository)) {
        const digest = Buffer.from(value).toString() as Digest
        if ((await records.isLinked(repository, digest)) && (await records.blob(digest)) !== undefined) {
          return true
        }
      }
    }
    return false
  }
}

/** Asks again only where the repository is another one than the last time */
function once(isMeant: IsMeant): IsMeant {
  let last: { repository: string; answer: boolean } | undefined
  return repository => {
    last = last?.repository === repository ? last : { repository, answer: isMeant(repository) }
    return last.answer
  }
}

/** @param owner `<repository>:<digest>` */
function splitOwner(owner: string): [string, Digest] {
  const colon = owner.indexOf(':')
  return [owner.slice(0, colon), owner.slice(colon + 1) as Digest]
}
