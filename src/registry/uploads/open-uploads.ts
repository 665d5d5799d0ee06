import type { ContentStore, ContentWriter } from '../../ipfs/content-store.ts'
import type { Index, UploadRecord } from '../../index/index.ts'
import { uploadBlocks, type UploadBlock } from './upload-blocks.ts'

export interface OpenUploadsComponents {
  content: Pick<ContentStore, 'writer'>
  index: Pick<Index, 'change' | 'upload' | 'uploadLeaves' | 'uploads'>
}

/** An upload with a writer in memory */
export interface OpenUpload {
  id: string
  /** What the index has of it */
  record: UploadRecord
  writer: ContentWriter
  /** Number of leaves whose CIDs are in the index */
  savedLeaves: number
  /** Root of the whole file, once the writer is closed */
  root?: string | undefined
}

/**
 * The uploads that have a writer in memory, and what the index saves of them: enough to go on after a restart, or after
 * a writer failed. The caller of every method that takes an upload or loads one holds the lock of that upload.
 */
export class OpenUploads {
  readonly #components: OpenUploadsComponents
  readonly #open = new Map<string, OpenUpload>()
  /** Uploads that are becoming blobs: no request finds them any more, but their blocks are still needed */
  readonly #closing = new Set<OpenUpload>()

  constructor(components: OpenUploadsComponents) {
    this.#components = components
  }

  /** @returns undefined where the upload has no writer in memory, or does not exist */
  get(id: string): OpenUpload | undefined {
    return this.#open.get(id)
  }

  async create(id: string, record: UploadRecord): Promise<void> {
    const { content, index } = this.#components
    this.#open.set(id, { id, record, writer: content.writer({ digest: record.algorithm }), savedLeaves: 0 })
    try {
      await index.change().putUpload(id, record).commit({ durable: false })
    } catch (err) {
      this.forget(id)
      throw err
    }
  }

  /**
   * @returns the upload with a writer that goes on from what was saved last; undefined where there is no such upload
   */
  async load(id: string): Promise<OpenUpload | undefined> {
    const { content, index } = this.#components
    const known = this.#open.get(id)
    const record = known?.record ?? (await index.upload(id))
    if (known !== undefined || record === undefined) {
      return known
    }
    const leaves = await index.uploadLeaves(id)
    const writer = content.writer({ state: { size: record.size, leaves, tail: record.tail }, digest: record.algorithm })
    const upload: OpenUpload = { id, record, writer, savedLeaves: leaves.length }
    this.#open.set(id, upload)
    return upload
  }

  /**
   * Stores and saves everything that was written; does nothing after a failed write, where only the last save is
   * reliable
   */
  async checkpoint(upload: OpenUpload): Promise<void> {
    if (this.#open.has(upload.id)) {
      await this.save(upload, await this.orForget(upload, async () => await upload.writer.checkpoint()))
    }
  }

  async save(upload: OpenUpload, { size, leaves, tail }: ReturnType<ContentWriter['stored']>): Promise<void> {
    // leaves are stored in any order, but the saved size must never fall behind what the client was told
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

  /**
   * Runs `work` with the writer. A writer that failed is of no more use: the next request loads the upload as it was
   * last saved.
   */
  async orForget<T>(upload: OpenUpload, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (err) {
      this.forget(upload.id)
      throw err
    }
  }

  /** Drops the writer; what is saved in the index stays */
  forget(id: string): void {
    this.#open.get(id)?.writer.discard()
    this.#open.delete(id)
  }

  /**
   * Takes the upload away from further requests. Until the result is disposed of, {@link blocks} still has its blocks.
   */
  beginClose(upload: OpenUpload): Disposable {
    this.#closing.add(upload)
    this.#open.delete(upload.id)
    return {
      [Symbol.dispose]: () => {
        this.#closing.delete(upload)
      },
    }
  }

  /** The blocks that garbage collection must keep for uploads */
  async *blocks(): AsyncGenerator<UploadBlock> {
    yield* uploadBlocks([...this.#open.values(), ...this.#closing], this.#components.index)
  }
}
