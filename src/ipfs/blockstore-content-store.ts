import { unixfs } from '@helia/unixfs'
import { CID } from 'multiformats/cid'
import type { Blockstore } from 'interface-blockstore'
import type { Content, ContentStore, ContentWriter, DirectoryEntry, StoreOptions, WriterState } from './content-store.ts'
import type { DurableBlockstore } from './blockstore.ts'
import { BufferPool } from './buffer-pool.ts'
import { directoryBlock, leafSize, walkFile, type Block, type LeafSlice } from './dag.ts'
import { DagWriter } from './dag-writer.ts'
import { DamagedBlockError } from './errors.ts'
import { runAhead } from './run-ahead.ts'

/** Leaves read ahead of the one that is being sent */
const readAhead = 4
/** A directory whose block is larger is sharded, as kubo does under the profile `unixfs-v1-2025` */
const maxDirectoryBytes = 256 * 1024

/** Leaves that are kept in memory for the next push or pull */
const maxFreeBuffers = 16

export interface BlockstoreContentStoreComponents {
  /** Its `put` keeps nothing of the bytes that it is given: they are overwritten afterwards */
  blockstore: Pick<Blockstore, 'get' | 'put' | 'has'> & Pick<DurableBlockstore, 'read' | 'sync'>
}

/** Files and directories in a local blockstore */
export class BlockstoreContentStore implements ContentStore {
  readonly #blockstore: BlockstoreContentStoreComponents['blockstore']
  readonly #buffers = new BufferPool(leafSize, maxFreeBuffers)

  constructor (components: BlockstoreContentStoreComponents) {
    this.#blockstore = components.blockstore
  }

  writer (state?: WriterState): ContentWriter {
    return new DagWriter({ put: async block => { await this.#put(block) }, get: async cid => await this.#blockstore.read(cid), buffers: this.#buffers }, state)
  }

  async add (bytes: Uint8Array): Promise<Content> {
    const writer = this.writer()
    await writer.write(bytes)
    return await writer.close()
  }

  async addDirectory (entries: readonly DirectoryEntry[]): Promise<Content> {
    const block = await directoryBlock(entries)
    if (block.bytes.byteLength > maxDirectoryBytes) {
      return await this.#addShardedDirectory(entries)
    }
    await this.#put(block)
    return block.content
  }

  async * read (cid: string, options: StoreOptions & { start?: number, end?: number } = {}): AsyncGenerator<Uint8Array> {
    const { signal, start = 0, end = Infinity } = options
    const slices = walkFile(CID.parse(cid), async cid => await this.#blockstore.read(cid, { signal }), start, end + 1)
    const reads = (async function * (store: BlockstoreContentStore) {
      for await (const slice of slices) {
        yield async () => slice instanceof Uint8Array ? { bytes: slice } : await store.#readLeaf(slice, { signal })
      }
    })(this)
    for await (const { bytes, buffer } of runAhead<{ bytes: Uint8Array, buffer?: Uint8Array }>(reads, readAhead)) {
      yield bytes
      if (buffer !== undefined) {
        this.#buffers.give(buffer)
      }
    }
  }

  async sync (): Promise<void> {
    await this.#blockstore.sync?.()
  }

  async #readLeaf (slice: LeafSlice, options: StoreOptions): Promise<{ bytes: Uint8Array, buffer: Uint8Array }> {
    const buffer = this.#buffers.take()
    const bytes = await this.#blockstore.read(slice.cid, { ...options, into: buffer })
    if (bytes.byteLength !== slice.leafSize) {
      throw new DamagedBlockError(`${slice.cid.toString()} has ${bytes.byteLength} bytes instead of ${slice.leafSize}`)
    }
    return { bytes: bytes.subarray(slice.start, slice.end), buffer }
  }

  async #addShardedDirectory (entries: readonly DirectoryEntry[]): Promise<Content> {
    const added = unixfs({ blockstore: this.#blockstore }).addAll([], {
      profile: 'unixfs-v1-2025',
      wrapWithDirectory: true,
      shardSplitThresholdBytes: 0,
      // in place of the files to import: links to what is stored already
      dagBuilder: async function * () {
        for (const { name, content } of entries) {
          yield async () => ({ path: name, cid: CID.parse(content.cid), size: BigInt(content.dagSize) })
        }
      }
    })
    // the last one is the directory
    const { cid, size } = (await Array.fromAsync(added)).at(-1)!
    return { cid: cid.toString(), size: 0, dagSize: Number(size) }
  }

  async #put (block: Block): Promise<void> {
    await this.#blockstore.put(block.cid, block.bytes)
  }
}
