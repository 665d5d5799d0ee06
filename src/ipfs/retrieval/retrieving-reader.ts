import type { BufferPool } from '../blocks/buffer-pool.ts'
import { DagReader, type BlockReader } from '../content/dag-reader.ts'
import { leavesReadAhead } from '../content/leaf-limits.ts'
import type { ContentReader, ReadFileOptions, StoreOptions } from '../content-store.ts'
import type { RetrievalSession } from './retrieval-session.ts'

export interface RetrievingReaderComponents {
  /** Begins to fetch for one call */
  open: (cid: string, options: StoreOptions | undefined) => RetrievalSession
  /** The blocks that are here and those that a session fetches */
  blocks: (session: RetrievalSession) => BlockReader
  buffers: BufferPool
}

/** Reads files and directories, each call with a session of its own */
export class RetrievingReader implements ContentReader {
  readonly #components: RetrievingReaderComponents

  constructor(components: RetrievingReaderComponents) {
    this.#components = components
  }

  read(cid: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array> {
    const session = this.#components.open(cid, options)
    return this.#reader(session, () => {
      session[Symbol.dispose]()
    }).read(cid, options)
  }

  async find(root: string, path: readonly string[], options?: StoreOptions): ReturnType<ContentReader['find']> {
    using session = this.#components.open(root, options)
    return await this.#reader(session).find(root, path, options)
  }

  async *list(directory: string, options?: StoreOptions): AsyncGenerator<{ name: string; cid: string }> {
    using session = this.#components.open(directory, options)
    yield* this.#reader(session).list(directory, options)
  }

  async canonical(cid: string, options?: StoreOptions): ReturnType<ContentReader['canonical']> {
    using session = this.#components.open(cid, options)
    return await this.#reader(session).canonical(cid, options)
  }

  #reader(session: RetrievalSession, onEnd?: () => void): DagReader {
    const { blocks, buffers } = this.#components
    return new DagReader({ blocks: blocks(session), buffers }, { readAhead: leavesReadAhead.peers, onEnd })
  }
}
