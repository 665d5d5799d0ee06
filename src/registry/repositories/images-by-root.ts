import { CID } from 'multiformats/cid'
import type { Caller } from '../../access/caller.ts'
import type { Puller } from '../../access/rules/puller.ts'
import type { ContentReader, PartialReader } from '../../ipfs/content-store.ts'
import type { RootReference } from '../../oci/cid.ts'
import { OciError } from '../../oci/errors.ts'
import type { BlockAccess } from '../sharing/block-access.ts'
import type { ClientLimit } from '../client-limit.ts'
import { sleepUntil } from '../../scheduling/sleep-until.ts'
import type { Repository, RequestOptions } from '../repository.ts'
import type { NameResolver } from '../tags/resolver-source.ts'
import { ImageRepository, type ImageRepositoryComponents } from './image-repository.ts'

/**
 * A refusal takes this long at least, and up to so much longer by chance; milliseconds. A look-up takes less, so the
 * time does not tell whether there is such an image.
 */
const [refusalTime, chance] = [10, 5]

export interface ImagesByRootComponents extends ImageRepositoryComponents {
  /** Reads what is here, and fetches nothing */
  content: PartialReader
  blockAccess: BlockAccess
  /** Resolves IPNS keys and domains */
  names: NameResolver
  /** Limits the requests that wait for a name to be resolved */
  fetches?: ClientLimit | undefined
}

/**
 * Images that are asked for by their roots. Whoever may pull everything gets any, from other nodes too. All others get
 * those of the repositories that they may pull, as far as they are here; nothing is fetched for them, and an image that
 * is not here looks like one that they may not pull.
 */
export class ImagesByRoot {
  readonly #components: ImagesByRootComponents

  constructor(components: ImagesByRootComponents) {
    this.#components = components
  }

  /**
   * @throws OciError UNAUTHORIZED or DENIED where the name is a CID that the caller may not pull; where it is another
   * name, the repository throws this once it is asked for something
   */
  async repository(name: string, reference: RootReference, caller: Caller): Promise<Repository> {
    const puller = caller.pullerFor(name)
    if (puller.everything) {
      const root = async (options: RequestOptions): Promise<string> =>
        await this.#rootOf(this.#components.reader, name, reference, options)
      return new ImageRepository(this.#components, { name, root })
    }
    const { blockAccess, cached, content, hasher, index, verified } = this.#components
    const reader = content.only(cid => blockAccess.mayFetch(puller, cid))
    const ownRoot = async (options: RequestOptions): Promise<string> =>
      await this.#ownRoot(name, reference, { caller, puller, reader }, options)
    const known = reference.cid === undefined ? undefined : await ownRoot({})
    const root = known === undefined ? ownRoot : async (): Promise<string> => known
    // it is of a repository here, which keeps it
    const notCached = { read: cached.read.bind(cached), found: async () => {} }
    return new ImageRepository({ reader, index, verified, cached: notCached, hasher }, { name, root })
  }

  /** The root, where it is of a repository that the caller may pull */
  async #ownRoot(
    name: string,
    reference: RootReference,
    { caller, puller, reader }: { caller: Caller; puller: Puller; reader: ContentReader },
    options: RequestOptions,
  ): Promise<string> {
    const began = performance.now()
    const root = puller.something ? await this.#rootHere(reader, name, reference, options) : undefined
    if (root !== undefined && (await this.#components.blockAccess.mayFetch(puller, CID.parse(root)))) {
      return root
    }
    await sleepUntil(began + refusalTime + chance * Math.random())
    options.signal?.throwIfAborted()
    throw caller.refusalFor(name)
  }

  /** @returns undefined where a name can't be resolved, or leads to nothing that is here */
  async #rootHere(
    reader: ContentReader,
    name: string,
    reference: RootReference,
    options: RequestOptions,
  ): Promise<string | undefined> {
    try {
      return await this.#rootOf(reader, name, reference, options)
    } catch (err) {
      if (err instanceof OciError && err.code === 'TOOMANYREQUESTS') {
        throw err
      }
      return undefined
    }
  }

  /** @throws OciError NAME_UNKNOWN where the name leads to a path at which there is nothing */
  async #rootOf(
    reader: ContentReader,
    repository: string,
    reference: RootReference,
    options: RequestOptions,
  ): Promise<string> {
    if (reference.cid !== undefined) {
      return reference.cid
    }
    const { cid, path } = await this.#resolve(reference.name, options)
    const root = path.length === 0 ? cid : (await reader.find(cid, path, options))?.cid
    if (root === undefined) {
      throw new OciError('NAME_UNKNOWN', {
        detail: { name: repository, reason: `leads to /ipfs/${cid}/${path.join('/')}, where there is nothing` },
      })
    }
    return root
  }

  async #resolve(name: string, options: RequestOptions): ReturnType<NameResolver['resolve']> {
    const { names, fetches } = this.#components
    using _slot = fetches?.take(options.client)
    return await names.resolve(name, options)
  }
}
