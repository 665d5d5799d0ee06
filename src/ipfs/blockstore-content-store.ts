import { unixfs } from '@helia/unixfs'
import * as dagPb from '@ipld/dag-pb'
import parallel from 'it-parallel'
import { CID } from 'multiformats/cid'
import type { Blockstore } from 'interface-blockstore'
import type { Content, ContentStore, ContentWriter, DirectoryEntry, StoreOptions, WriterState } from './content-store.ts'
import { directoryBlock, walkFile, type Block, type LeafSlice } from './dag.ts'
import { DagWriter } from './dag-writer.ts'
import { DamagedBlockError } from './errors.ts'

/** Leaves read ahead of the one that is being sent */
const readAhead = 4
/** A directory whose block is larger is sharded, as kubo does under the profile `unixfs-v1-2025` */
const maxDirectoryBytes = 256 * 1024

export interface BlockstoreContentStoreComponents {
  blockstore: Pick<Blockstore, 'get' | 'put' | 'has'> & { sync?: () => Promise<void> }
}

/** Files and directories in a local blockstore */
export class BlockstoreContentStore implements ContentStore {
  readonly #blockstore: BlockstoreContentStoreComponents['blockstore']

  constructor (components: BlockstoreContentStoreComponents) {
    this.#blockstore = components.blockstore
  }

  writer (state?: WriterState): ContentWriter {
    return new DagWriter({ put: async block => { await this.#put(block) }, get: async cid => await this.#get(cid) }, state)
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
    const slices = walkFile(CID.parse(cid), async cid => await this.#get(cid, { signal }), start, end + 1)
    const reads = (async function * (store: BlockstoreContentStore) {
      for await (const slice of slices) {
        yield async () => slice instanceof Uint8Array ? slice : await store.#readLeaf(slice, { signal })
      }
    })(this)
    yield * parallel(reads, { ordered: true, concurrency: readAhead })
  }

  async sync (): Promise<void> {
    await this.#blockstore.sync?.()
  }

  async #readLeaf (slice: LeafSlice, options: StoreOptions): Promise<Uint8Array> {
    const bytes = await this.#get(slice.cid, options)
    if (bytes.byteLength !== slice.leafSize) {
      throw new DamagedBlockError(`${slice.cid.toString()} has ${bytes.byteLength} bytes instead of ${slice.leafSize}`)
    }
    return slice.end - slice.start === bytes.byteLength ? bytes : bytes.subarray(slice.start, slice.end)
  }

  async #addShardedDirectory (entries: readonly DirectoryEntry[]): Promise<Content> {
    const fs = unixfs({ blockstore: this.#blockstore })
    let cid = await fs.addDirectory(undefined, { profile: 'unixfs-v1-2025' })
    for (const { name, content } of entries) {
      cid = await fs.cp(CID.parse(content.cid), cid, name, { shardSplitThresholdBytes: maxDirectoryBytes, shardSplitStrategy: 'block-bytes' })
    }
    const bytes = await this.#get(cid)
    const dagSize = dagPb.decode(bytes).Links.reduce((total, link) => total + (link.Tsize ?? 0), bytes.byteLength)
    return { cid: cid.toString(), size: 0, dagSize }
  }

  async #put (block: Block): Promise<void> {
    await this.#blockstore.put(block.cid, block.bytes)
  }

  async #get (cid: CID, options: StoreOptions = {}): Promise<Uint8Array> {
    const [first = new Uint8Array(), ...rest] = await Array.fromAsync(this.#blockstore.get(cid, options.signal === undefined ? {} : { signal: options.signal }))
    return rest.length === 0 ? first : Buffer.concat([first, ...rest])
  }
}
