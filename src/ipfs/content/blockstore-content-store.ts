/**
 * Files and directories as blocks: cut into leaves on their way in, put together on their way out.
 *
 * - `blockstore-content-store.ts` (here): the whole of it, over a blockstore that stores blocks
 * - `dag-writer.ts`: a stream of bytes becomes leaves and nodes; `sparse-writer.ts`: leaves in any order do
 * - `dag-reader.ts`: files, paths and listings out of blocks, wherever those come from; `read-ahead.ts`: its one loop
 *   that yields the bytes; `verified-reader.ts`: the same where each block is compared with its CID
 * - `leaf-limits.ts`: how many leaves are in memory at a time
 *
 * Imports `src/ipfs/{dag,hashing,blockstore,blocks}`. The contract is `src/ipfs/content-store.ts`; begin there.
 */
import { unixfs } from '@helia/unixfs'
import { CID } from 'multiformats/cid'
import type { Blockstore } from 'interface-blockstore'
import type {
  AddOptions,
  Content,
  ContentStore,
  ContentWriter,
  DirectoryEntry,
  PartialReader,
  SparseWriter,
  SparseWriterInit,
} from '../content-store.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import { BufferPool } from '../blocks/buffer-pool.ts'
import type { Block } from '../blocks/block.ts'
import { directoryBlock, leafSize } from '../dag/encode-node.ts'
import { DagReader, type BlockReader } from './dag-reader.ts'
import { DagWriter, type DagWriterInit } from './dag-writer.ts'
import { DagSparseWriter } from './sparse-writer.ts'
import { partialBlocks } from './partial-blocks.ts'
import { leavesReadAhead, maxFreeBuffers } from './leaf-limits.ts'
import { inlineHasher, type Hasher } from '../hashing/hasher.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'

/** A directory with a larger block is sharded, as kubo does with the profile `unixfs-v1-2025` */
const maxDirectoryBytes = 256 * 1024
/**
 * The least that a link takes in the block of a directory: a CID by SHA-256, a size, a name of one character, and their
 * headers
 */
const minLinkBytes = 45

export interface BlockstoreContentStoreComponents {
  /** Once its `put` has resolved, it must not use the bytes any more: they are overwritten */
  blockstore: Pick<Blockstore, 'get' | 'put' | 'has'> & Pick<DurableBlockstore, 'read' | 'sync'>
  /** @default hashes on the thread of its caller */
  hasher?: Hasher | undefined
  /**
   * Whether all its files were written by us or read whole when they came, see {@link DagReaderInit.isKnown}
   *
   * @default true
   */
  isKnown?: boolean | undefined
  /** Called with each block that was asked for and is missing */
  onMissing?: ((cid: CID) => void) | undefined
}

/** Files and directories in a blockstore */
export class BlockstoreContentStore implements ContentStore, PartialReader {
  readonly #components: BlockstoreContentStoreComponents
  readonly #blockstore: BlockstoreContentStoreComponents['blockstore']
  readonly #hasher: Hasher
  readonly #buffers = new BufferPool(leafSize, maxFreeBuffers)
  readonly #reader: DagReader

  constructor(components: BlockstoreContentStoreComponents) {
    this.#components = components
    this.#blockstore = components.blockstore
    this.#hasher = components.hasher ?? inlineHasher
    this.#reader = this.#readerOf({ read: async (...args) => await this.#read(...args) })
  }

  writer(init: DagWriterInit = {}): ContentWriter {
    return this.#writer(this.#hasher, init)
  }

  sparseWriter(init: SparseWriterInit): SparseWriter {
    return new DagSparseWriter(
      {
        put: async block => {
          await this.#put(block)
        },
        get: async (cid, into) => await this.#blockstore.read(cid, { into }),
        buffers: this.#buffers,
        hasher: this.#hasher,
      },
      init,
    )
  }

  async add(bytes: Uint8Array, { onBlock }: AddOptions = {}): Promise<Content> {
    // these bytes were in memory already, so they are few: not worth another thread
    const writer = this.#writer(inlineHasher, {}, onBlock)
    await writer.write(bytes)
    return await writer.close()
  }

  async addDirectory(entries: readonly DirectoryEntry[], options: AddOptions = {}): Promise<Content> {
    // where one block can't be enough, it is not even made: that would take a second for a hundred thousand entries
    if (entries.length * minLinkBytes <= maxDirectoryBytes) {
      const block = await directoryBlock(entries)
      if (block.bytes.byteLength <= maxDirectoryBytes) {
        await this.#put(block)
        options.onBlock?.(block.cid)
        return block.content
      }
    }
    return await this.#addShardedDirectory(entries, options)
  }

  read(...args: Parameters<ContentStore['read']>): ReturnType<ContentStore['read']> {
    return this.#reader.read(...args)
  }

  async find(...args: Parameters<ContentStore['find']>): ReturnType<ContentStore['find']> {
    return await this.#reader.find(...args)
  }

  list(...args: Parameters<ContentStore['list']>): ReturnType<ContentStore['list']> {
    return this.#reader.list(...args)
  }

  async canonical(...args: Parameters<ContentStore['canonical']>): ReturnType<ContentStore['canonical']> {
    return await this.#reader.canonical(...args)
  }

  only(mayRead: Parameters<PartialReader['only']>[0]): DagReader {
    return this.#readerOf(partialBlocks({ read: async (...args) => await this.#read(...args) }, mayRead))
  }

  async sync(): Promise<void> {
    await this.#blockstore.sync?.()
  }

  #readerOf(blocks: BlockReader): DagReader {
    const isKnown = this.#components.isKnown ?? true
    return new DagReader({ blocks, buffers: this.#buffers }, { readAhead: leavesReadAhead.disk, isKnown })
  }

  async #addShardedDirectory(entries: readonly DirectoryEntry[], { signal, onBlock }: AddOptions): Promise<Content> {
    const { get, put, has } = this.#blockstore
    const blockstore = {
      get: get.bind(this.#blockstore),
      has: has.bind(this.#blockstore),
      // the library takes no signal
      put: async (...[cid, block]: Parameters<typeof put>) => {
        signal?.throwIfAborted()
        onBlock?.(cid)
        return await put.call(this.#blockstore, cid, block)
      },
    }
    const added = unixfs({ blockstore }).addAll([], {
      profile: 'unixfs-v1-2025',
      wrapWithDirectory: true,
      shardSplitThresholdBytes: 0,
      // the library would import files here; ours are stored already, and only linked to
      dagBuilder: async function* () {
        const slice = new TimeSlice()
        for (const { name, content } of entries) {
          signal?.throwIfAborted()
          await slice.pause()
          yield async () => ({ path: name, cid: CID.parse(content.cid), size: BigInt(content.dagSize) })
        }
      },
    })
    // the directory comes last
    const { cid, size } = (await Array.fromAsync(added)).at(-1)!
    return { cid: cid.toString(), size: 0, dagSize: Number(size) }
  }

  #writer(hasher: Hasher, init?: DagWriterInit, onBlock?: AddOptions['onBlock']): DagWriter {
    return new DagWriter(
      {
        put: async block => {
          await this.#put(block)
          onBlock?.(block.cid)
        },
        get: async cid => await this.#blockstore.read(cid),
        buffers: this.#buffers,
        hasher,
      },
      init,
    )
  }

  async #read(...[cid, options]: Parameters<DurableBlockstore['read']>): Promise<Uint8Array> {
    try {
      return await this.#components.blockstore.read(cid, options)
    } catch (err) {
      if ((err as Error).name === 'NotFoundError') {
        this.#components.onMissing?.(cid)
      }
      throw err
    }
  }

  async #put(block: Block): Promise<void> {
    await this.#blockstore.put(block.cid, block.bytes)
  }
}
