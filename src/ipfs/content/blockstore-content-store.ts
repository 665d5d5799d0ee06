import { unixfs } from '@helia/unixfs'
import { CID } from 'multiformats/cid'
import type { Blockstore } from 'interface-blockstore'
import type { Content, ContentStore, ContentWriter, DirectoryEntry, StoreOptions } from '../content-store.ts'
import type { DurableBlockstore } from '../blockstore/blockstore.ts'
import { BufferPool } from '../blocks/buffer-pool.ts'
import type { Block } from '../blocks/block.ts'
import { directoryBlock, leafSize } from '../dag/encode-node.ts'
import { DagReader } from './dag-reader.ts'
import { DagWriter, type DagWriterInit } from './dag-writer.ts'
import { inlineHasher, type Hasher } from '../hashing/hasher.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'

/** Leaves read ahead of the one that is being sent */
const readAhead = 4
/** A directory whose block is larger is sharded, as kubo does under the profile `unixfs-v1-2025` */
const maxDirectoryBytes = 256 * 1024
/** Of a link in a directory's block with a name of one character: a CID by SHA-256, its size, and what lies around them */
const minLinkBytes = 45

/** Leaves that are kept in memory for the next push or pull */
const maxFreeBuffers = 16

export interface BlockstoreContentStoreComponents {
  /** Its `put` keeps nothing of the bytes that it is given: they are overwritten afterwards */
  blockstore: Pick<Blockstore, 'get' | 'put' | 'has'> & Pick<DurableBlockstore, 'read' | 'sync'>
  /** @default one that works on the thread of its caller */
  hasher?: Hasher | undefined
  /**
   * Whether all files in it were read whole when they came, as for a DagReader
   *
   * @default true
   */
  isKnown?: boolean | undefined
  /** Is told of each block that was to be read and is not here */
  onMissing?: ((cid: CID) => void) | undefined
}

/** Files and directories in a local blockstore */
export class BlockstoreContentStore implements ContentStore {
  readonly #components: BlockstoreContentStoreComponents
  readonly #blockstore: BlockstoreContentStoreComponents['blockstore']
  readonly #hasher: Hasher
  readonly #buffers = new BufferPool(leafSize, maxFreeBuffers)
  readonly #reader: DagReader

  constructor(components: BlockstoreContentStoreComponents) {
    this.#components = components
    this.#blockstore = components.blockstore
    this.#hasher = components.hasher ?? inlineHasher
    this.#reader = new DagReader(
      { blocks: { read: async (...args) => await this.#read(...args) }, buffers: this.#buffers },
      { readAhead, isKnown: components.isKnown ?? true },
    )
  }

  writer(init: DagWriterInit = {}): ContentWriter {
    return this.#writer(this.#hasher, init)
  }

  async add(bytes: Uint8Array): Promise<Content> {
    // of bytes that were all in memory there are few
    const writer = this.#writer(inlineHasher)
    await writer.write(bytes)
    return await writer.close()
  }

  async addDirectory(entries: readonly DirectoryEntry[], options: StoreOptions = {}): Promise<Content> {
    // a block that would be far too large is not even made: it would take a second for a hundred thousand entries
    if (entries.length * minLinkBytes <= maxDirectoryBytes) {
      const block = await directoryBlock(entries)
      if (block.bytes.byteLength <= maxDirectoryBytes) {
        await this.#put(block)
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

  async sync(): Promise<void> {
    await this.#blockstore.sync?.()
  }

  async #addShardedDirectory(entries: readonly DirectoryEntry[], { signal }: StoreOptions): Promise<Content> {
    const { get, put, has } = this.#blockstore
    const blockstore = {
      get: get.bind(this.#blockstore),
      has: has.bind(this.#blockstore),
      // the library takes no signal
      put: async (...[cid, block]: Parameters<typeof put>) => {
        signal?.throwIfAborted()
        return await put.call(this.#blockstore, cid, block)
      },
    }
    const added = unixfs({ blockstore }).addAll([], {
      profile: 'unixfs-v1-2025',
      wrapWithDirectory: true,
      shardSplitThresholdBytes: 0,
      // in place of the files to import: links to what is stored already
      dagBuilder: async function* () {
        const slice = new TimeSlice()
        for (const { name, content } of entries) {
          signal?.throwIfAborted()
          await slice.pause()
          yield async () => ({ path: name, cid: CID.parse(content.cid), size: BigInt(content.dagSize) })
        }
      },
    })
    // the last one is the directory
    const { cid, size } = (await Array.fromAsync(added)).at(-1)!
    return { cid: cid.toString(), size: 0, dagSize: Number(size) }
  }

  #writer(hasher: Hasher, init?: DagWriterInit): DagWriter {
    return new DagWriter(
      {
        put: async block => {
          await this.#put(block)
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
