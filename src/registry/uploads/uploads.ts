/**
 * Blob uploads: bytes go into leaf blocks while they arrive. What an upload needs in order to go on is saved in the index,
 * at the end of each request and now and then within a long one, so it survives a restart.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
 */
import { randomUUID } from 'node:crypto'
import type { ContentStore, ContentWriter } from '../../ipfs/content-store.ts'
import type { StorageSpace } from '../../ipfs/blockstore/storage-space.ts'
import type { Index, UploadRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { ByteRange } from '../../oci/range.ts'
import { translateErrors, uploadUnknown } from '../errors.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import type { LinkGuard } from '../link-guard.ts'
import type { Blob, RequestOptions } from '../repository.ts'
import { digestOfUpload } from './upload-digest.ts'
import { UploadLimit, type UploadLimitInit } from './upload-limit.ts'
import { uploadBlocks, type OpenUpload, type UploadBlock } from './upload-blocks.ts'
import { UploadExpiry, type ExpireOptions } from './upload-expiry.ts'
import { withinRange } from './upload-range.ts'

/** Progress within one request is saved each time that this much more is stored */
const saveInterval = 32 * 1024 * 1024
const day = 24 * 60 * 60 * 1000

export interface UploadsComponents {
  content: ContentStore
  index: Index
  links: Pick<LinkGuard, 'add'>
  /** Asked before bytes are taken */
  space: Pick<StorageSpace, 'require' | 'requireFits'>
  log: Logger
}

export interface UploadsInit extends Partial<UploadLimitInit> {
  /** An upload that nobody wrote to for this long is dropped; milliseconds, 7 days by default */
  expiry?: number
}

export interface AppendOptions extends RequestOptions {
  /** Where the client says that the bytes belong */
  range?: ByteRange | undefined
  /** How many bytes come, where the client says so beforehand */
  length?: number | undefined
}

interface Upload extends OpenUpload {
  id: string
  record: UploadRecord
  savedLeaves: number
}

export class Uploads {
  readonly #components: UploadsComponents
  readonly #expiry: UploadExpiry
  readonly #lock = new KeyedLock()
  readonly #slots: UploadLimit
  readonly #open = new Map<string, Upload>()
  /** On their way from an open upload to a blob */
  readonly #closing = new Set<Upload>()

  constructor(components: UploadsComponents, init: UploadsInit = {}) {
    this.#components = components
    const { index, log } = components
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
    this.#slots = new UploadLimit({ max: init.max ?? 0, maxPerClient: init.maxPerClient ?? 0 })
  }

  async start(): Promise<void> {
    await this.#expiry.start()
    for await (const { id, record } of this.#components.index.uploads()) {
      this.#slots.found(id, Date.parse(record.updated))
    }
  }

  /** Waits for requests that were cut off to save what they got */
  async stop(): Promise<void> {
    this.#expiry.stop()
    await this.#lock.idle()
  }

  /**
   * @returns the id of a new upload
   * @throws OciError TOOMANYREQUESTS or UNAVAILABLE where too many are open, STORAGE_FULL where no blob would fit in
   */
  async create(repository: string, algorithm: DigestAlgorithm = 'sha256', client?: string): Promise<string> {
    await translateErrors(async () => {
      await this.#components.space.require(0, 1)
    })
    const silent = this.#slots.silent(client)
    if (silent !== undefined) {
      await this.#lock.run(silent, async () => {
        await this.#drop(silent)
      })
    }
    const id = randomUUID()
    this.#slots.open(id, client)
    const now = new Date().toISOString()
    const record: UploadRecord = { repository, algorithm, size: 0, started: now, updated: now }
    this.#open.set(id, { id, record, writer: this.#components.content.writer({ digest: algorithm }), savedLeaves: 0 })
    try {
      await translateErrors(async () => {
        await this.#components.index.change().putUpload(id, record).commit({ durable: false })
      })
    } catch (err) {
      this.#forget(id)
      this.#slots.close(id)
      throw err
    }
    return id
  }

  /**
   * @returns bytes stored so far
   * @throws OciError BLOB_UPLOAD_UNKNOWN
   */
  async size(repository: string, id: string): Promise<number> {
    // without the lock, as a request that holds it may last for hours; so nothing may be loaded here
    const open = this.#open.get(id)
    const record = open?.record ?? (await this.#components.index.upload(id))
    if (record?.repository !== repository) {
      throw uploadUnknown(id)
    }
    return open?.writer.size ?? record.size
  }

  /**
   * Appends to an upload. What arrived before a failure of the source is kept, so that the client can go on from there.
   *
   * @returns bytes stored so far
   * @throws OciError BLOB_UPLOAD_UNKNOWN, RANGE_INVALID, SIZE_INVALID, STORAGE_FULL, or BLOB_TOO_LARGE, after which the upload is gone
   */
  async append(
    repository: string,
    id: string,
    source: AsyncIterable<Uint8Array>,
    options: AppendOptions = {},
  ): Promise<number> {
    return await this.#locked(id, options, async () => {
      const upload = await this.#find(repository, id)
      try {
        await this.#write(upload, source, options)
      } finally {
        await this.#checkpoint(upload)
      }
      return upload.writer.size
    })
  }

  /**
   * Appends the last bytes, compares the digest and makes the blob part of the repository. An upload whose digest differs is dropped.
   *
   * @throws OciError as {@link append}, and DIGEST_INVALID
   */
  async commit(
    repository: string,
    id: string,
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: AppendOptions = {},
  ): Promise<Pick<Blob, 'cid' | 'size'>> {
    return await this.#locked(id, options, async () => {
      const upload = await this.#find(repository, id)
      try {
        await this.#write(upload, source, options)
      } catch (err) {
        await this.#checkpoint(upload)
        throw err
      }
      // from here on the writer is spent: should this fail, the upload goes on from what was saved last
      this.#closing.add(upload)
      this.#open.delete(id)
      try {
        return await this.#close(upload, digest, options)
      } finally {
        this.#closing.delete(upload)
      }
    })
  }

  /** CIDs of leaves, tails and finished files that uploads need: to begin with what is known in memory, then what is saved */
  async *blocks(): AsyncGenerator<UploadBlock> {
    yield* uploadBlocks([...this.#open.values(), ...this.#closing], this.#components.index)
  }

  /** @throws OciError BLOB_UPLOAD_UNKNOWN */
  async cancel(repository: string, id: string, options: RequestOptions = {}): Promise<void> {
    await this.#locked(id, options, async () => {
      await this.#find(repository, id)
      await this.#drop(id)
    })
  }

  async count(): Promise<number> {
    return (await Array.fromAsync(this.#components.index.uploads())).length
  }

  /** Drops the uploads that nobody goes on with */
  async expire(options?: ExpireOptions): Promise<void> {
    await this.#expiry.expire(options)
  }

  async #close(upload: Upload, digest: Digest, options: RequestOptions): Promise<Pick<Blob, 'cid' | 'size'>> {
    const { content, index, links } = this.#components
    const file = await upload.writer.close()
    upload.root = file.cid
    const actual = await digestOfUpload(content, file, algorithmOf(digest), options, async () => {
      await this.#drop(upload.id)
    })
    if (actual !== digest) {
      await this.#drop(upload.id)
      throw new OciError('DIGEST_INVALID', { detail: { digest, actual } })
    }
    await content.sync()
    await links.add(digest, async () => {
      await index
        .change()
        .putBlob(digest, file)
        .putLink(upload.record.repository, digest)
        .deleteUpload(upload.id)
        .commit({ durable: true })
    })
    this.#slots.close(upload.id)
    return file
  }

  async #locked<T>(id: string, options: RequestOptions, work: () => Promise<T>): Promise<T> {
    using _use = this.#slots.use(id)
    return await this.#lock.run(
      id,
      async () => await translateErrors(async () => await this.#expiry.watch(id, work)),
      options,
    )
  }

  async #find(repository: string, id: string): Promise<Upload> {
    const upload = this.#open.get(id) ?? (await this.#load(id))
    if (upload?.record.repository !== repository) {
      throw uploadUnknown(id)
    }
    return upload
  }

  /** For whoever holds the upload's lock */
  async #load(id: string): Promise<Upload | undefined> {
    const { content, index } = this.#components
    const record = await index.upload(id)
    if (record === undefined) {
      return undefined
    }
    const leaves = await index.uploadLeaves(id)
    const writer = content.writer({ state: { size: record.size, leaves, tail: record.tail }, digest: record.algorithm })
    const upload: Upload = { id, record, writer, savedLeaves: leaves.length }
    this.#open.set(id, upload)
    return upload
  }

  async #write(upload: Upload, source: AsyncIterable<Uint8Array>, { range, length = 0 }: AppendOptions): Promise<void> {
    const { writer } = upload
    const { space } = this.#components
    if (length > 0) {
      await space.require(writer.size, length)
    }
    let saved = writer.size
    for await (const chunk of withinRange(source, range, writer.size)) {
      await this.#orForget(upload, async () => {
        space.requireFits(writer.size + chunk.byteLength)
        await writer.write(chunk)
      })
      if (writer.size - saved >= saveInterval) {
        saved = writer.size
        await this.#save(upload, writer.stored())
      }
    }
  }

  async #checkpoint(upload: Upload): Promise<void> {
    // not after a failed write: what is saved already is what can be trusted
    if (!this.#open.has(upload.id)) {
      return
    }
    await this.#save(upload, await this.#orForget(upload, async () => await upload.writer.checkpoint()))
  }

  /** A writer that failed can't go on: the upload is loaded again as it was last saved */
  async #orForget<T>(upload: Upload, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      this.#forget(upload.id)
      throw err
    }
  }

  async #save(upload: Upload, { size, leaves, tail }: ReturnType<ContentWriter['stored']>): Promise<void> {
    // leaves are stored in any order: what is saved must not fall back behind what the client was told
    if (size < upload.record.size) {
      return
    }
    const change = this.#components.index.change()
    if (leaves.length > upload.savedLeaves) {
      change.putUploadLeaves(upload.id, upload.savedLeaves, leaves.slice(upload.savedLeaves))
    }
    upload.record = { ...upload.record, size, tail, updated: new Date().toISOString() }
    await change.putUpload(upload.id, upload.record).commit({ durable: false })
    upload.savedLeaves = leaves.length
  }

  #forget(id: string): void {
    this.#open.get(id)?.writer.discard()
    this.#open.delete(id)
  }

  async #drop(id: string): Promise<void> {
    this.#forget(id)
    this.#expiry.forget(id)
    await this.#components.index.change().deleteUpload(id).commit({ durable: false })
    this.#slots.close(id)
  }
}
