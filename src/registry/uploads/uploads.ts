/**
 * `registry/uploads` takes the bytes of blobs. It may import `tags`, the files of `registry` itself, and `image`. Begin
 * here:
 *
 * - `uploads.ts`: create, append, commit and cancel an upload
 * - `open-uploads.ts`: the writers in memory, and what the index saves of them so that an upload survives a restart
 * - `upload-range.ts`: Content-Range of a chunk; `upload-digest.ts`: the digest of the whole
 * - `upload-limit.ts`: how many may be open; `upload-expiry.ts`: when one is given up
 * - `upload-blocks.ts`: which blocks garbage collection must keep for uploads
 *
 * Bytes go into leaf blocks while they arrive. Progress is saved at the end of each request, and every 32 MiB in
 * between.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
 */
import { randomUUID } from 'node:crypto'
import type { Content, ContentStore } from '../../ipfs/content-store.ts'
import type { StorageSpace } from '../../ipfs/blockstore/storage-space.ts'
import type { Index, UploadRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { AppendOptions, UploadOptions } from './upload-options.ts'
import { translateErrors, uploadUnknown } from '../errors.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import type { LinkGuard } from '../link-guard.ts'
import type { Quotas } from '../quotas/quotas.ts'
import type { RequestOptions } from '../repository.ts'
import { OpenUploads, type OpenUpload } from './open-uploads.ts'
import type { UploadBlock } from './upload-blocks.ts'
import { digestOfUpload } from './upload-digest.ts'
import { UploadExpiry, type ExpireOptions } from './upload-expiry.ts'
import { UploadLimit, type UploadLimitInit } from './upload-limit.ts'
import { UploadRangeCheck } from './upload-range.ts'

/** Bytes between two saves within one request */
const saveInterval = 32 * 1024 * 1024
const day = 24 * 60 * 60 * 1000

export interface UploadsComponents {
  content: ContentStore
  index: Index
  links: Pick<LinkGuard, 'add'>
  /** Asked before bytes are taken; @default there are no quotas */
  quotas?: Pick<Quotas, 'requireRoom' | 'reserveBlob'> | undefined
  /** Asked before bytes are taken */
  space: Pick<StorageSpace, 'require' | 'requireFits'>
  log: Logger
}

export interface UploadsInit extends Partial<UploadLimitInit> {
  /**
   * An upload expires when no request has written to it for this long; milliseconds
   *
   * @default 7 days
   */
  expiry?: number
}

export class Uploads {
  readonly #components: UploadsComponents
  readonly #expiry: UploadExpiry
  /** Held by upload id while a request writes to the upload */
  readonly #lock = new KeyedLock()
  readonly #limit: UploadLimit
  readonly #open: OpenUploads

  constructor(components: UploadsComponents, init: UploadsInit = {}) {
    this.#components = components
    const { index, log } = components
    this.#open = new OpenUploads(components)
    this.#expiry = new UploadExpiry(
      {
        index,
        log,
        lock: this.#lock,
        drop: async id => {
          await this.#drop(id)
        },
      },
      { expiry: init.expiry ?? 7 * day },
    )
    this.#limit = new UploadLimit({ max: init.max ?? 0, maxPerClient: init.maxPerClient ?? 0 })
  }

  async start(): Promise<void> {
    await this.#expiry.start()
    for await (const { id, record } of this.#components.index.uploads()) {
      this.#limit.found(id, Date.parse(record.updated))
    }
  }

  /** Waits until requests that were cut off have saved what they got */
  async stop(): Promise<void> {
    this.#expiry.stop()
    await this.#lock.idle()
  }

  /**
   * @returns the id of a new upload
   * @throws OciError TOOMANYREQUESTS or UNAVAILABLE where too many are open, STORAGE_FULL or DENIED where no blob fits
   */
  async create(
    repository: string,
    algorithm: DigestAlgorithm = 'sha256',
    { client, owner }: UploadOptions = {},
  ): Promise<string> {
    await translateErrors(async () => {
      await this.#components.space.require(0, 1)
    })
    await this.#components.quotas?.requireRoom(repository, 1)
    const silent = this.#limit.silent(client)
    if (silent !== undefined) {
      await this.#lock.run(silent, async () => {
        await this.#drop(silent)
      })
    }
    const id = randomUUID()
    this.#limit.open(id, client)
    const now = new Date().toISOString()
    const record: UploadRecord = { repository, algorithm, owner, size: 0, started: now, updated: now }
    try {
      await translateErrors(async () => {
        await this.#open.create(id, record)
      })
    } catch (err) {
      this.#limit.close(id)
      throw err
    }
    return id
  }

  /**
   * @returns bytes stored so far
   * @throws OciError BLOB_UPLOAD_UNKNOWN
   */
  async size(repository: string, id: string, { owner }: UploadOptions = {}): Promise<number> {
    // without the lock, which a request may hold for hours; therefore this must not load the upload
    const open = this.#open.get(id)
    const record = open?.record ?? (await this.#components.index.upload(id))
    if (record?.repository !== repository || record.owner !== owner) {
      throw uploadUnknown(id)
    }
    return open?.writer.size ?? record.size
  }

  /**
   * Appends to an upload. Where the source fails half-way, the bytes before are kept, and the client can go on from
   * there.
   *
   * @returns bytes stored so far
   * @throws OciError BLOB_UPLOAD_UNKNOWN, RANGE_INVALID, SIZE_INVALID, STORAGE_FULL; DENIED by a quota; BLOB_TOO_LARGE,
   *   which deletes the upload
   */
  async append(
    repository: string,
    id: string,
    source: AsyncIterable<Uint8Array>,
    options: AppendOptions = {},
  ): Promise<number> {
    return await this.#locked(id, options, async () => {
      const upload = await this.#find(repository, id, options)
      try {
        await this.#write(upload, source, options)
      } finally {
        await this.#open.checkpoint(upload)
      }
      return upload.writer.size
    })
  }

  /**
   * Appends the last bytes, compares the digest and makes the blob part of the repository. A wrong digest deletes the
   * upload.
   *
   * @throws OciError as {@link append}, and DIGEST_INVALID
   */
  async commit(
    repository: string,
    id: string,
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: AppendOptions = {},
  ): Promise<Pick<Content, 'cid' | 'size'>> {
    return await this.#locked(id, options, async () => {
      const upload = await this.#find(repository, id, options)
      try {
        await this.#write(upload, source, options)
      } catch (err) {
        await this.#open.checkpoint(upload)
        throw err
      }
      // closing uses up the writer: where that fails, the next request loads the upload as it was last saved
      using _closing = this.#open.beginClose(upload)
      return await this.#close(upload, digest, options)
    })
  }

  /** The blocks that garbage collection must keep for uploads */
  blocks(): AsyncIterable<UploadBlock> {
    return this.#open.blocks()
  }

  /** @throws OciError BLOB_UPLOAD_UNKNOWN */
  async cancel(repository: string, id: string, options: UploadOptions = {}): Promise<void> {
    await this.#locked(id, options, async () => {
      await this.#find(repository, id, options)
      await this.#drop(id)
    })
  }

  async count(): Promise<number> {
    return (await Array.fromAsync(this.#components.index.uploads())).length
  }

  /** Deletes the uploads that their clients have given up */
  async expire(options?: ExpireOptions): Promise<void> {
    await this.#expiry.expire(options)
  }

  async #write(
    upload: OpenUpload,
    source: AsyncIterable<Uint8Array>,
    { range, length = 0 }: AppendOptions,
  ): Promise<void> {
    const { writer } = upload
    const { quotas, space } = this.#components
    if (length > 0) {
      await quotas?.requireRoom(upload.record.repository, writer.size + length)
      await space.require(writer.size, length)
    }
    const check = new UploadRangeCheck(range, writer.size)
    let saved = writer.size
    for await (const chunk of source) {
      check.add(chunk.byteLength)
      await this.#open.orForget(upload, async () => {
        space.requireFits(writer.size + chunk.byteLength)
        await quotas?.requireRoom(upload.record.repository, writer.size + chunk.byteLength)
        await writer.write(chunk)
      })
      if (writer.size - saved >= saveInterval) {
        saved = writer.size
        await this.#open.save(upload, writer.stored())
      }
    }
    check.finish()
  }

  async #close(upload: OpenUpload, digest: Digest, options: RequestOptions): Promise<Pick<Content, 'cid' | 'size'>> {
    const { content, index, links, quotas } = this.#components
    const file = await upload.writer.close()
    upload.root = file.cid
    const actual = await digestOfUpload(content, file, algorithmOf(digest), options, async () => {
      await this.#drop(upload.id)
    })
    if (actual !== digest) {
      await this.#drop(upload.id)
      throw new OciError('DIGEST_INVALID', { detail: { digest, actual } })
    }
    using room = await quotas?.reserveBlob(upload.record.repository, digest, file.size)
    await content.sync()
    await links.add(digest, async () => {
      await index
        .change()
        .putBlob(digest, file)
        .putBlobBlocks(digest, upload.writer.blockKeys())
        .putLink(upload.record.repository, digest)
        .deleteUpload(upload.id)
        .commit({ durable: true })
    })
    room?.used()
    this.#limit.close(upload.id)
    return file
  }

  async #locked<T>(id: string, options: RequestOptions, work: () => Promise<T>): Promise<T> {
    using _use = this.#limit.use(id)
    return await this.#lock.run(
      id,
      async () => await translateErrors(async () => await this.#expiry.watch(id, work)),
      options,
    )
  }

  async #find(repository: string, id: string, { owner }: UploadOptions): Promise<OpenUpload> {
    const upload = await this.#open.load(id)
    if (upload?.record.repository !== repository || upload.record.owner !== owner) {
      throw uploadUnknown(id)
    }
    return upload
  }

  /** Deletes an upload */
  async #drop(id: string): Promise<void> {
    this.#open.forget(id)
    this.#expiry.forget(id)
    await this.#components.index.change().deleteUpload(id).commit({ durable: false })
    this.#limit.close(id)
  }
}
