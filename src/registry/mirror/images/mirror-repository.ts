import type { Index } from '../../../index/index.ts'
import { algorithmOf, digestOf, type Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import type { Page } from '../../../oci/pagination.ts'
import type { Reference } from '../../../oci/reference.ts'
import type { SharedCalls } from '../../../scheduling/shared-calls.ts'
import { translateErrors } from '../../errors.ts'
import { takePage } from '../../listing.ts'
import { referrerOf, type Referrer } from '../../referrer.ts'
import { ReadOnlyRepository } from '../../repositories/read-only-repository.ts'
import type { Blob, FoundManifest, Listing, LookUpOptions, Repository, RequestOptions } from '../../repository.ts'
import type { BlobFetch } from '../fetch/blob-fetch.ts'
import { fetchMissing, mirroredBlob, type MirroredBlobComponents, type MirroredRepository } from './mirrored-blob.ts'
import type { MirroredManifests } from './mirrored-manifests.ts'
import type { MirroredTags } from './mirrored-tags.ts'
import { UpstreamError, type Upstream } from '../../upstream.ts'

export interface MirrorRepositoryComponents extends MirroredBlobComponents {
  index: MirroredBlobComponents['index'] & Pick<Index, 'manifest' | 'tag'>
  tags: MirroredTags
  manifests: MirroredManifests
  /** Manifests that are on their way, for all repositories */
  shared: SharedCalls<FoundManifest>
}

interface Options extends LookUpOptions {
  /** Whether upstream tells to what a tag points, however lately it did; it must answer then */
  fresh?: boolean | undefined
}

/**
 * A repository of another registry. What clients ask for is fetched from there once, and kept as that of a repository
 * here is.
 */
export class MirrorRepository extends ReadOnlyRepository implements Repository {
  readonly name: string
  readonly upstream: string
  readonly #components: MirrorRepositoryComponents
  readonly #init: MirroredRepository
  readonly #upstream: Upstream
  readonly #remote: string
  readonly #local: Repository

  constructor(components: MirrorRepositoryComponents, init: MirroredRepository) {
    super()
    this.name = init.local.name
    this.#components = components
    this.#init = init
    this.#upstream = init.upstream
    this.upstream = init.upstream.name
    this.#remote = init.repository
    this.#local = init.local
  }

  async manifest(reference: Reference, options: Options = {}): Promise<FoundManifest> {
    if (options.onlyCached === true) {
      const manifest = await this.#local.manifest(reference, options)
      return { ...manifest, fetching: await this.#fetching(manifest.digest) }
    }
    const manifest = await translateErrors(
      async () =>
        await (reference.tag === undefined
          ? this.#byDigest(reference.digest, options)
          : this.#byTag(reference.tag, options)),
    )
    await this.#components.manifests.used(this.name, manifest.digest)
    return manifest
  }

  async blob(digest: Digest, options: Options = {}): Promise<Blob> {
    if (options.onlyCached === true) {
      return await this.#local.blob(digest, options)
    }
    return await mirroredBlob(this.#components, this.#init, digest, options)
  }

  /** As {@link fetchMissing} does */
  async fetchMissing(blob: Pick<Blob, 'digest' | 'size'>, options: RequestOptions): Promise<BlobFetch | undefined> {
    return await fetchMissing(this.#components, this.#init, blob, options)
  }

  async tags(page: Page, options: RequestOptions = {}): Promise<Listing<string>> {
    if (options.onlyCached === true) {
      return await this.#local.tags(page, options)
    }
    try {
      const tags = await this.#upstream.tags(this.#remote, options)
      if (tags === undefined) {
        throw new OciError('NAME_UNKNOWN', { detail: { name: this.name, upstream: this.#upstream.name } })
      }
      const sorted = tags.toSorted()
      return await takePage(page, async function* ({ last = '' }) {
        yield* sorted.filter(tag => tag > last)
      })
    } catch (err) {
      return await this.#orLocal(err, async () => await this.#local.tags(page, options))
    }
  }

  async referrers(
    subject: Digest,
    page: Page,
    artifactType?: string,
    options: RequestOptions = {},
  ): Promise<Listing<Referrer>> {
    if (options.onlyCached === true) {
      return await this.#local.referrers(subject, page, artifactType, options)
    }
    try {
      const found = (await this.#upstream.referrers(this.#remote, subject, options)) ?? []
      const sorted = found
        .filter(descriptor => artifactType === undefined || descriptor.artifactType === artifactType)
        .toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
      return await takePage(page, async function* ({ last = '' }) {
        yield* sorted.filter(({ digest }) => digest > last).map(referrerOf)
      })
    } catch (err) {
      return await this.#orLocal(err, async () => await this.#local.referrers(subject, page, artifactType))
    }
  }

  async #byDigest(digest: Digest, options: Options): Promise<FoundManifest> {
    const here = await this.#here({ digest })
    if (here !== undefined) {
      return here
    }
    const head = options.whole === true ? await this.#head(digest, options) : undefined
    return head ?? (await this.#get(digest, undefined, options))
  }

  async #byTag(tag: string, options: Options): Promise<FoundManifest> {
    const age = await this.#components.tags.age(this.name, tag)
    const here = await this.#here({ tag })
    if (here !== undefined && age <= this.#upstream.tagTtl && options.fresh !== true) {
      return here
    }
    try {
      return here === undefined && options.whole !== true
        ? await this.#get(tag, tag, options)
        : await this.#check(tag, here, options)
    } catch (err) {
      if (here === undefined || options.fresh === true || !isPassing(err)) {
        throw err
      }
      return { ...here, staleFor: Number.isFinite(age) ? age : 0 }
    }
  }

  /** Asks upstream to what a tag points now */
  async #check(tag: string, here: FoundManifest | undefined, options: Options): Promise<FoundManifest> {
    const key = `HEAD ${this.name}:${tag} ${options.whole === true}`
    const call = async (signal: AbortSignal): Promise<FoundManifest> => {
      const head = await this.#upstream.headManifest(this.#remote, tag, { ...options, signal })
      if (head === undefined) {
        if (here !== undefined) {
          await this.#local.deleteManifest({ tag })
          await this.#components.tags.gone(this.name, tag)
        }
        throw this.#manifestUnknown({ tag })
      }
      if (head.digest === here?.digest) {
        await this.#components.tags.checked(this.name, tag)
        return here
      }
      const { digest, mediaType, size } = head
      const known = await this.#here({ digest })
      if (known !== undefined) {
        return { ...(await this.#store(await known.read(), known, { tag })), source: known.source }
      }
      if (options.whole === true && mediaType !== undefined && size !== undefined) {
        this.#components.tags.told(this.name, tag, digest)
        return this.#notHere({ digest, mediaType, size })
      }
      return await this.#get(digest, tag, { ...options, signal })
    }
    return await this.#components.shared.run(key, call, options)
  }

  /** @returns undefined where upstream does not tell enough for a HEAD */
  async #head(digest: Digest, options: Options): Promise<FoundManifest | undefined> {
    const head = await this.#upstream.headManifest(this.#remote, digest, options)
    if (head === undefined) {
      throw this.#manifestUnknown({ digest })
    }
    const { mediaType, size } = head
    return mediaType === undefined || size === undefined ? undefined : this.#notHere({ digest, mediaType, size })
  }

  /** @param tag is set to the manifest */
  async #get(reference: string, tag: string | undefined, options: Options): Promise<FoundManifest> {
    const key = `GET ${this.name}@${reference} ${tag}`
    const call = async (signal: AbortSignal): Promise<FoundManifest> => {
      const found = await this.#upstream.manifest(this.#remote, reference, { ...options, signal })
      if (found === undefined) {
        throw this.#manifestUnknown(tag === undefined ? { digest: reference } : { tag })
      }
      const { bytes, digest, mediaType } = found
      if (digestOf(algorithmOf(digest), bytes) !== digest || (reference !== tag && reference !== digest)) {
        throw this.#invalid(`sent a manifest that does not match ${reference}`)
      }
      const told = tag === undefined ? await this.#components.tags.pointingTo(this.name, digest) : { tag }
      return await this.#store(bytes, { digest, mediaType }, told)
    }
    return await this.#components.shared.run(key, call, options)
  }

  async #store(
    bytes: Uint8Array,
    { digest, mediaType }: { digest: Digest; mediaType: string | undefined },
    tagged: { tag: string; at?: number } | undefined,
  ): Promise<FoundManifest> {
    const { manifests, tags } = this.#components
    const put = { reference: { digest }, bytes, contentType: mediaType, tags: tagged === undefined ? [] : [tagged.tag] }
    const { manifest } = await this.#local.putManifest(put).catch((err: unknown) => {
      throw (err as OciError).code === 'MANIFEST_INVALID' ? this.#invalid('sent no manifest', err) : err
    })
    manifests.note(this.name, bytes, manifest.mediaType)
    if (tagged !== undefined) {
      await tags.checked(this.name, tagged.tag, tagged.at)
    }
    return { ...manifest, source: 'upstream' }
  }

  /** @returns undefined where it is not here, or can't be read */
  async #here(reference: Reference): Promise<FoundManifest | undefined> {
    try {
      return await this.#local.manifest(reference, { whole: true })
    } catch (err) {
      if ((err as OciError).code === 'MANIFEST_UNKNOWN') {
        return undefined
      }
      throw err
    }
  }

  /** How much of the blobs of a manifest is here; undefined where none of them is on its way */
  async #fetching(digest: Digest): Promise<FoundManifest['fetching']> {
    const { fetches, index, manifests } = this.#components
    const { name } = this
    const coming = fetches.progressIn(name)
    const blobs = coming.size === 0 ? [] : ((await index.manifest(name, digest))?.blobs ?? [])
    if (!blobs.some(blob => coming.has(blob))) {
      return undefined
    }
    const sum = { here: 0, size: 0 }
    for (const blob of blobs) {
      const size = (await manifests.sizeOf(name, blob)) ?? 0
      sum.size += size
      sum.here += coming.get(blob)?.here ?? ((await index.isLinked(name, blob)) ? size : 0)
    }
    return sum
  }

  #notHere({ digest, mediaType, size }: { digest: Digest; mediaType: string; size: number }): FoundManifest {
    const read = async (options: RequestOptions = {}): Promise<Uint8Array> =>
      await translateErrors(async () => await (await this.#get(digest, undefined, options)).read(options))
    return { digest, mediaType, size, root: undefined, source: 'upstream', read }
  }

  async #orLocal<T>(err: unknown, local: () => Promise<T>): Promise<T> {
    return await translateErrors(async () => {
      if (!isPassing(err)) {
        throw err
      }
      try {
        return await local()
      } catch {
        throw err
      }
    })
  }

  #manifestUnknown(reference: { tag?: string; digest?: string }): OciError {
    return new OciError('MANIFEST_UNKNOWN', {
      detail: { name: this.name, ...reference, upstream: this.#upstream.name },
    })
  }

  #invalid(what: string, cause?: unknown): UpstreamError {
    const { name } = this.#upstream
    return new UpstreamError(`${name} ${what}`, { upstream: name, reason: 'invalid', cause })
  }

  protected override refusal(): OciError {
    const { name } = this.#upstream
    return new OciError('DENIED', {
      detail: { name: this.name, upstream: name, reason: `this mirrors ${name}: push to ${name}, or to another name` },
    })
  }
}

/** Whether what was kept from before may be used instead: upstream is there for others, or later */
function isPassing(err: unknown): boolean {
  return err instanceof UpstreamError && err.reason !== 'denied'
}
