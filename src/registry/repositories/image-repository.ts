import { createHash } from 'node:crypto'
import type { ContentReader, Found } from '../../ipfs/content-store.ts'
import type { Index } from '../../index/index.ts'
import { algorithmOf, hexOf, type Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Page } from '../../oci/pagination.ts'
import { isTag, type Reference } from '../../oci/reference.ts'
import type { CachedImages } from '../image/cached-images.ts'
import { translateErrors } from '../errors.ts'
import { findBlob, readManifest, type LayoutManifest } from '../image/read-image.ts'
import { takePage } from '../listing.ts'
import { readContent } from '../read-content.ts'
import type { RootProvider } from '../root-provider.ts'
import type { Blob, Listing, PutManifest, Repository, RequestOptions, StoredManifest } from '../repository.ts'
import type { VerifiedFiles } from '../image/verified-files.ts'

export interface ImageRepositoryComponents {
  /** Reads what is here and fetches what is not */
  reader: ContentReader
  /** Knows which digests were verified when they were pushed */
  index: Pick<Index, 'blob'>
  /** Which were verified since the start */
  verified: Pick<VerifiedFiles, 'has' | 'note'>
  /** Keeps what is here of an image */
  cached: Pick<CachedImages, 'found' | 'read'>
  /** Is told of a root whose manifest is here now: from then on this node can pass on what it has of the image */
  provider?: RootProvider | undefined
}

export interface ImageRepositoryInit {
  name: string
  /** CID of the image root; asked for once a request */
  root: (options: RequestOptions) => Promise<string>
}

/** An image in IPFS as a repository that can only be read: what its root links to, here or at other nodes */
export class ImageRepository implements Repository {
  readonly name: string
  readonly #components: ImageRepositoryComponents
  readonly #root: ImageRepositoryInit['root']

  constructor(components: ImageRepositoryComponents, init: ImageRepositoryInit) {
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
      return { digest, size: found.size, cid: found.cid, read: options => this.#read(root, digest, found, options) }
    }, 'BLOB_UNKNOWN')
  }

  async manifest(reference: Reference, options: RequestOptions = {}): Promise<StoredManifest> {
    return await translateErrors(async () => {
      const root = await this.#root(options)
      using _reading = this.#components.cached.read(root)
      const { digest, bytes, manifest } = await this.#readManifest(root, reference, options)
      await this.#components.cached.found(root)
      this.#components.provider?.provide(root)
      return { digest, mediaType: manifest.mediaType, size: bytes.byteLength, root, read: async () => bytes }
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
      return await takePage(page, ({ last = '' }) => from(tags.filter(tag => tag > last)))
    })
  }

  async referrers(): Promise<Listing<Descriptor>> {
    return { items: [], more: false }
  }

  async putManifest(_manifest: PutManifest): Promise<never> {
    throw this.#readOnly()
  }

  async deleteManifest(): Promise<never> {
    throw this.#readOnly()
  }

  async deleteBlob(): Promise<never> {
    throw this.#readOnly()
  }

  async mountBlob(): Promise<never> {
    throw this.#readOnly()
  }

  requireWritable(): void {
    throw this.#readOnly()
  }

  #readOnly(): OciError {
    return new OciError('DENIED', {
      detail: {
        name: this.name,
        reason: 'the name stands for an image in IPFS, which never changes: push to another name',
      },
    })
  }

  /** Content that is no manifest, or another one, is none of this image: the client asked for what is not there */
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

  async *#read(
    root: string,
    digest: Digest,
    found: Found,
    options: Parameters<Blob['read']>[0] = {},
  ): AsyncGenerator<Uint8Array> {
    const { reader, index, verified } = this.#components
    using _reading = this.#components.cached.read(root)
    const isVerified = verified.has(digest, found.cid) || (await index.blob(digest))?.cid === found.cid
    if (isVerified) {
      yield* readContent(reader, found, options)
      return
    }
    const { start = 0, end = found.size - 1, signal, client } = options
    const isWhole = start === 0 && end === found.size - 1
    if (isWhole) {
      yield* this.#verify(digest, found, { signal, client })
      return
    }
    // a part can't be compared with a digest: the whole is, once
    for await (const _ of this.#verify(digest, found, { signal, client })) {
      // what is read is kept
    }
    yield* readContent(reader, found, options)
  }

  /** Reads the whole file; its last bytes come only if the digest is right, so that a wrong file is never complete */
  async *#verify(digest: Digest, found: Found, options: RequestOptions): AsyncGenerator<Uint8Array> {
    const { reader, verified } = this.#components
    const hash = createHash(algorithmOf(digest))
    let left = found.size
    const finish = (): void => {
      if (hash.digest('hex') !== hexOf(digest)) {
        throw new OciError('UNAVAILABLE', {
          detail: { digest, reason: 'the image links to other bytes under this digest' },
        })
      }
      verified.note(digest, found.cid)
    }
    for await (const chunk of readContent(reader, found, options)) {
      hash.update(chunk)
      left -= chunk.byteLength
      if (left === 0) {
        finish()
      }
      yield chunk
    }
    if (found.size === 0) {
      finish()
    }
  }
}

async function* from<T>(items: T[]): AsyncGenerator<T> {
  yield* items
}
