import { originOf } from '../../ipfs/blocks/block-origins.ts'
import type { ContentReader, Found } from '../../ipfs/content-store.ts'
import type { Hasher } from '../../ipfs/hashing/hasher.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Page } from '../../oci/pagination.ts'
import { isTag, type Reference } from '../../oci/reference.ts'
import type { CachedImages } from '../image/cached-images.ts'
import { translateErrors } from '../errors.ts'
import { findBlob, readManifest, type LayoutManifest } from '../image/read-image.ts'
import { takePage } from '../listing.ts'
import { ReadOnlyRepository } from './read-only-repository.ts'
import { readContent, type ReadContentOptions } from '../read-content.ts'
import type { RootProvider } from '../root-provider.ts'
import type { Referrer } from '../referrer.ts'
import type { Blob, FoundManifest, Listing, Repository, RequestOptions } from '../repository.ts'
import type { VerifiedFiles } from '../image/verified-files.ts'

export interface ImageRepositoryComponents {
  /** Reads blocks that are here, and fetches those that are not */
  reader: ContentReader
  /** Knows the digests of blobs that were pushed here: these need not be verified again */
  index: Pick<Index, 'blob'>
  /** Files of images that were verified since the start of the server */
  verified: Pick<VerifiedFiles, 'has' | 'note'>
  /** Keeps the image here while it is read, and afterwards while there is room */
  cached: Pick<CachedImages, 'found' | 'read'>
  /** Provides the root once its manifest is here: from then on, this node can pass on what it has of the image */
  provider?: RootProvider | undefined
  /** Compares blobs with their digests; @default on the thread of the caller */
  hasher?: Hasher | undefined
}

export interface ImageRepositoryInit {
  name: string
  /** Finds out the CID of the image root; called once for each request */
  root: (options: RequestOptions) => Promise<string>
}

/** An image in IPFS as a read-only repository. It has what the image root links to, here or at other nodes. */
export class ImageRepository extends ReadOnlyRepository implements Repository {
  readonly name: string
  readonly #components: ImageRepositoryComponents
  readonly #root: ImageRepositoryInit['root']

  constructor(components: ImageRepositoryComponents, init: ImageRepositoryInit) {
    super()
    this.name = init.name
    this.#components = components
    this.#root = init.root
  }

  async blob(digest: Digest, options: RequestOptions = {}): Promise<Blob> {
    return await translateErrors(async () => {
      const root = await this.#root(options)
      using _reading = this.#components.cached.read(root)
      const found = await findBlob(this.#components.reader, root, digest, options)
      if (found?.type !== 'file') {
        throw new OciError('BLOB_UNKNOWN', { detail: { digest, root } })
      }
      await this.#components.cached.found(root)
      const isVerified = (await this.#components.index.blob(digest))?.cid === found.cid
      const file = { ...found, isVerified }
      return { digest, size: found.size, cid: found.cid, read: options => this.#read(root, digest, file, options) }
    }, 'BLOB_UNKNOWN')
  }

  async manifest(reference: Reference, options: RequestOptions = {}): Promise<FoundManifest> {
    return await translateErrors(async () => {
      const root = await this.#root(options)
      using _reading = this.#components.cached.read(root)
      const { digest, bytes, manifest } = await this.#readManifest(root, reference, options)
      await this.#components.cached.found(root)
      this.#components.provider?.provide(root)
      const { mediaType } = manifest
      return { digest, mediaType, size: bytes.byteLength, root, source: originOf(bytes), read: async () => bytes }
    }, 'MANIFEST_UNKNOWN')
  }

  async tags(page: Page, options: RequestOptions = {}): Promise<Listing<string>> {
    return await translateErrors(async () => {
      const root = await this.#root(options)
      const directory = await this.#components.reader.find(root, ['manifests'], options)
      const names =
        directory?.type === 'directory'
          ? await Array.fromAsync(this.#components.reader.list(directory.cid, options))
          : []
      const tags = names
        .map(({ name }) => name)
        .filter(isTag)
        .sort()
      return await takePage(page, ({ last = '' }) => iterate(tags.filter(tag => tag > last)))
    })
  }

  async referrers(): Promise<Listing<Referrer>> {
    return { items: [], more: false }
  }

  protected override refusal(): OciError {
    return new OciError('DENIED', {
      detail: {
        name: this.name,
        reason: 'the name stands for an image in IPFS, which never changes: push to another name',
      },
    })
  }

  /** To the client, a file that is not a manifest or has another digest is a manifest that is not there */
  async #readManifest(root: string, reference: Reference, options: RequestOptions): Promise<LayoutManifest> {
    try {
      const found = await readManifest(this.#components.reader, root, reference, options)
      if (found !== undefined) {
        return found
      }
    } catch (err) {
      if (!(err instanceof OciError) || (err.code !== 'MANIFEST_INVALID' && err.code !== 'DIGEST_INVALID')) {
        throw err
      }
      throw new OciError('MANIFEST_UNKNOWN', {
        detail: { name: this.name, root, ...reference, found: err.detail },
        cause: err,
      })
    }
    throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.name, root, ...reference } })
  }

  /** Not a generator itself, so that {@link readContent} is the only iterator around the body */
  #read(
    root: string,
    digest: Digest,
    found: Found & { isVerified: boolean },
    options: BlobReadOptions = {},
  ): AsyncIterable<Uint8Array> {
    const { cached, hasher, reader, verified } = this.#components
    const hold = (): Disposable => cached.read(root)
    if (found.isVerified || verified.has(digest, found.cid)) {
      return readContent(reader, found, { ...options, hold })
    }
    const { start = 0, end = found.size - 1, signal, client } = options
    const whole = readContent(reader, found, {
      signal,
      client,
      hold,
      verify: {
        digest,
        hasher,
        onMatch: () => {
          verified.note(digest, found.cid)
        },
      },
    })
    return start === 0 && end === found.size - 1 ? whole : this.#readRange(whole, found, { ...options, hold })
  }

  /**
   * A part of a file can't be compared with the digest, so the whole file is read and compared first. That happens once
   * for each file.
   */
  async *#readRange(
    whole: AsyncIterable<Uint8Array>,
    found: Found,
    options: ReadContentOptions,
  ): AsyncGenerator<Uint8Array> {
    for await (const _ of whole) {
      // reading keeps its blocks here
    }
    yield* readContent(this.#components.reader, found, options)
  }
}

type BlobReadOptions = Parameters<Blob['read']>[0]

async function* iterate<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}
