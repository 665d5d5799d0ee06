import { unixfs } from '@helia/unixfs'
import type { PBLink } from '@ipld/dag-pb'
import type { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import type { BufferPool } from './buffer-pool.ts'
import { canonicalFile } from './canonical-file.ts'
import type { Content, ContentReader, Found, ReadFileOptions, StoreOptions } from './content-store.ts'
import { decodeNode, walkFile, type LeafSlice } from './dag.ts'
import { DamagedBlockError } from './errors.ts'
import { runAhead } from './run-ahead.ts'

/** Where blocks come from */
export interface BlockReader {
  /**
   * @param options.into where the block may be read to, if it fits in
   * @throws NotFoundError where it is not here, UnavailableError where nobody delivers it
   */
  read: (cid: CID, options?: StoreOptions & { into?: Uint8Array | undefined }) => Promise<Uint8Array>
}

export interface DagReaderComponents {
  blocks: BlockReader
  /** For leaves that are on their way to whoever reads */
  buffers: BufferPool
}

export interface DagReaderInit {
  /** Leaves that are read ahead of the one that was asked for */
  readAhead: number
}

/** A UnixFS directory, or a node of a file */
interface Node {
  bytes: Uint8Array
  links: PBLink[]
  unixfs: UnixFS
}

/** Reads UnixFS files and directories from blocks, wherever these come from */
export class DagReader implements ContentReader {
  readonly #components: DagReaderComponents
  readonly #readAhead: number

  constructor (components: DagReaderComponents, init: DagReaderInit) {
    this.#components = components
    this.#readAhead = init.readAhead
  }

  async * read (cid: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array> {
    const { signal, start = 0, end = Infinity } = options
    const slices = walkFile(CID.parse(cid), async cid => await this.#components.blocks.read(cid, { signal }), start, end + 1)
    for await (const { bytes, buffer } of runAhead(this.#reads(slices, { signal }), this.#readAhead)) {
      yield bytes
      if (buffer !== undefined) {
        this.#components.buffers.give(buffer)
      }
    }
  }

  async find (root: string, path: readonly string[], options: StoreOptions = {}): Promise<Found | undefined> {
    let cid = CID.parse(root)
    for (const name of path) {
      const child = await this.#child(cid, name, options)
      if (child === undefined) {
        return undefined
      }
      cid = child
    }
    return await this.#stat(cid, options)
  }

  async * list (directory: string, options: StoreOptions = {}): AsyncGenerator<{ name: string, cid: string }> {
    const cid = CID.parse(directory)
    const node = await this.#node(cid, options)
    if (node?.unixfs.type === 'directory') {
      yield * node.links.map(link => ({ name: link.Name ?? '', cid: link.Hash.toString() }))
    } else if (node?.unixfs.isDirectory() === true) {
      for await (const entry of unixfs({ blockstore: this.#asBlockstore() }).ls(cid, signalOf(options))) {
        yield { name: entry.name, cid: entry.cid.toString() }
      }
    }
  }

  async canonical (cid: string, options: StoreOptions = {}): Promise<Content | undefined> {
    return await canonicalFile(CID.parse(cid), async cid => await this.#components.blocks.read(cid, options))
  }

  async * #reads (slices: AsyncIterable<LeafSlice | Uint8Array>, options: StoreOptions): AsyncGenerator<() => Promise<{ bytes: Uint8Array, buffer?: Uint8Array }>> {
    for await (const slice of slices) {
      yield async () => slice instanceof Uint8Array ? { bytes: slice } : await this.#readLeaf(slice, options)
    }
  }

  async #readLeaf (slice: LeafSlice, options: StoreOptions): Promise<{ bytes: Uint8Array, buffer?: Uint8Array }> {
    const { blocks, buffers } = this.#components
    const buffer = buffers.take()
    const bytes = await blocks.read(slice.cid, { ...options, into: buffer })
    if (bytes.byteLength !== (slice.leafSize ?? bytes.byteLength)) {
      throw new DamagedBlockError(`${slice.cid.toString()} has ${bytes.byteLength} bytes instead of ${slice.leafSize}`)
    }
    const wanted = bytes.subarray(slice.start, slice.end)
    if (bytes.buffer === buffer.buffer) {
      return { bytes: wanted, buffer }
    }
    buffers.give(buffer)
    return { bytes: wanted }
  }

  async #child (directory: CID, name: string, options: StoreOptions): Promise<CID | undefined> {
    const node = await this.#node(directory, options)
    if (node?.unixfs.type === 'directory') {
      return node.links.find(link => link.Name === name)?.Hash
    }
    return node?.unixfs.isDirectory() === true ? await this.#childOfShard(directory, name, options) : undefined
  }

  /** A sharded directory has the name under its hash, which the library knows how to follow */
  async #childOfShard (directory: CID, name: string, options: StoreOptions): Promise<CID | undefined> {
    let failure: unknown
    const blockstore = this.#asBlockstore(err => { failure = err })
    try {
      return (await unixfs({ blockstore }).stat(directory, { ...signalOf(options), path: name })).cid
    } catch (err) {
      if (failure !== undefined || (err as Error).name === 'AbortError') {
        throw failure ?? err
      }
      return undefined
    }
  }

  async #stat (cid: CID, options: StoreOptions): Promise<Found | undefined> {
    if (cid.code === raw.code) {
      const { byteLength } = await this.#components.blocks.read(cid, options)
      return { type: 'file', cid: cid.toString(), size: byteLength, dagSize: byteLength }
    }
    const node = await this.#node(cid, options)
    if (node === undefined || !['file', 'raw', 'directory', 'hamt-sharded-directory'].includes(node.unixfs.type)) {
      return undefined
    }
    const dagSize = node.links.reduce((total, link) => total + (link.Tsize ?? 0), node.bytes.byteLength)
    return { type: node.unixfs.isDirectory() ? 'directory' : 'file', cid: cid.toString(), size: Number(node.unixfs.fileSize()), dagSize }
  }

  /** @returns undefined where the CID is of something else than UnixFS */
  async #node (cid: CID, options: StoreOptions): Promise<Node | undefined> {
    if (cid.code === raw.code) {
      return undefined
    }
    const bytes = await this.#components.blocks.read(cid, options)
    const node = decodeNode(cid, bytes)
    return node === undefined ? undefined : { bytes, ...node }
  }

  #asBlockstore (onError: (err: unknown) => void = () => {}): Parameters<typeof unixfs>[0]['blockstore'] {
    const { blocks } = this.#components
    return {
      get: async function * (cid, options) {
        try {
          yield await blocks.read(cid, { signal: options?.signal })
        } catch (err) {
          onError(err)
          throw err
        }
      },
      has: () => true,
      put: () => { throw new Error('a reader stores nothing') }
    }
  }
}

function signalOf ({ signal }: StoreOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
