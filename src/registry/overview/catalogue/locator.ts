import { CID } from 'multiformats/cid'
import type { Caller } from '../../../access/caller.ts'
import type { Index } from '../../../index/index.ts'
import { parseRoot } from '../../../oci/cid.ts'
import { algorithmOf, hexOf, type Digest } from '../../../oci/digest.ts'
import { TimeSlice } from '../../../scheduling/time-slice.ts'
import type { Catalogue } from './catalogue.ts'

/** What is shown of a block that very many images have */
const maxPlaces = 20
const maxTags = 20
const digestPattern = /\b(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\b/

/** A repository in which something is */
export interface Place {
  repository: string
  /** The image that it is, or is a part of; undefined for a blob */
  digest: Digest | undefined
  tags: string[]
}

export interface LocatorComponents {
  catalogue: Pick<Catalogue, 'entries' | 'tagsOf'>
  index: Pick<Index, 'isBlobOwned' | 'isOwned' | 'manifest' | 'manifestsWith'>
}

/** Finds where something is by a digest or CID, with a few look-ups however much there is */
export class Locator {
  readonly #catalogue: LocatorComponents['catalogue']
  readonly #index: LocatorComponents['index']

  constructor({ catalogue, index }: LocatorComponents) {
    this.#catalogue = catalogue
    this.#index = index
  }

  /** @returns undefined where the text has neither a digest nor a CID */
  async find(text: string, caller: Caller, signal: AbortSignal): Promise<Place[] | undefined> {
    const digest = digestPattern.exec(text)?.[0] as Digest | undefined
    const cid = digest === undefined ? parseRoot(text.trim())?.cid : undefined
    if (digest === undefined && cid === undefined) {
      return undefined
    }
    const hash = cid === undefined ? Buffer.from(hexOf(digest!), 'hex') : CID.parse(cid).multihash.digest
    const places = await this.#images(hash, digest, caller, signal)
    const blobs = places.length > 0 ? [] : await this.#blobs(hash, digest, caller, signal)
    return digest === undefined || places.length + blobs.length > 0
      ? [...places, ...blobs]
      : await this.#byDigest(digest, caller, signal)
  }

  /**
   * Manifests whose digest is not the hash of one of their blocks: by SHA-512, or larger than a block. No index leads
   * to them, so each repository is asked.
   */
  async #byDigest(digest: Digest, caller: Caller, signal: AbortSignal): Promise<Place[]> {
    const places: Place[] = []
    const slice = new TimeSlice()
    for (const { name: repository } of await this.#catalogue.entries()) {
      signal.throwIfAborted()
      if (caller.sees(repository) && (await this.#index.manifest(repository, digest)) !== undefined) {
        const visible = await this.#catalogue.tagsOf(repository, digest, caller)
        places.push({ repository, digest, tags: visible.slice(0, maxTags) })
      }
      if (places.length === maxPlaces) {
        break
      }
      await slice.pause()
    }
    return places
  }

  async #images(hash: Uint8Array, digest: Digest | undefined, caller: Caller, signal: AbortSignal): Promise<Place[]> {
    const places: Place[] = []
    for await (const { repository, digest: found } of this.#index.manifestsWith(hash)) {
      signal.throwIfAborted()
      if ((digest === undefined || digest === found) && caller.sees(repository)) {
        const visible = await this.#catalogue.tagsOf(repository, found, caller)
        places.push({ repository, digest: found, tags: visible.slice(0, maxTags) })
      }
      if (places.length === maxPlaces) {
        break
      }
    }
    return places
  }

  async #blobs(hash: Uint8Array, digest: Digest | undefined, caller: Caller, signal: AbortSignal): Promise<Place[]> {
    const repositories = new Set<string>()
    const isEnough = (repository: string): boolean => {
      if (caller.sees(repository)) {
        repositories.add(repository)
      }
      return repositories.size === maxPlaces
    }
    if (digest === undefined || algorithmOf(digest) === 'sha256') {
      await this.#index.isOwned(hash, isEnough, { signal })
    }
    if (digest !== undefined) {
      await this.#index.isBlobOwned(digest, isEnough)
    }
    return [...repositories].map(repository => ({ repository, digest: undefined, tags: [] }))
  }
}
