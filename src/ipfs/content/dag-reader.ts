import { unixfs } from '@helia/unixfs'
import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import type { BufferPool } from '../blocks/buffer-pool.ts'
import { canonicalFile } from '../dag/canonical-file.ts'
import type { Content, ContentReader, Found, ReadFileOptions, StoreOptions } from '../content-store.ts'
import { isLeafOf, refuseLeaf } from '../dag/require-child.ts'
import { readNode } from '../dag/decode-node.ts'
import { requireDepth } from '../dag/dag-limits.ts'
import { inlineBlock, parseCid, requireCid } from '../blocks/block-cid.ts'
import { walkNodes } from '../dag/dag-walk.ts'
import { requireBacked, walkFile, type LeafSlice } from '../dag/file-walk.ts'
import { readAhead, type Chunk } from './read-ahead.ts'

/** Where a {@link DagReader} gets its blocks from */
export interface BlockReader {
  /**
   * @param options.into where the block may be read to, if it fits; nothing is written to it once the promise has
   *   settled
   * @throws NotFoundError where the block is missing, UnavailableError where nobody delivers it
   */
  read: (cid: CID, options?: StoreOptions & { into?: Uint8Array | undefined }) => Promise<Uint8Array>
}

export interface DagReaderComponents {
  blocks: BlockReader
  /** For the leaves that are on their way to the consumer */
  buffers: BufferPool
}

export interface DagReaderInit {
  /** Leaves that are read ahead of the one that was asked for, see `leaf-limits.ts` */
  readAhead: number
  /**
   * Whether all files were written by us or read whole before, so they have as many bytes as they claim
   *
   * @default false: their blocks are counted where {@link requireBacked} finds that needed
   */
  isKnown?: boolean | undefined
  /** Called when a {@link DagReader.read} has ended, with or without an error */
  onEnd?: (() => void) | undefined
}

/** Reads UnixFS files and directories, wherever their blocks come from */
export class DagReader implements ContentReader {
  readonly #components: DagReaderComponents
  readonly #init: DagReaderInit

  constructor(components: DagReaderComponents, init: DagReaderInit) {
    this.#components = components
    this.#init = init
  }

  read(cid: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array> {
    const { signal, start = 0, end = Infinity } = options
    return readAhead<LeafSlice | Uint8Array>({
      items: () => {
        const root = parseCid(cid)
        const load = async (node: CID): ReturnType<typeof readNode> =>
          await (node === root ? this.#root(node, { signal }) : this.#node(node, { signal }))
        return walkFile(root, load, start, end + 1)
      },
      read: async part => (part instanceof Uint8Array ? { bytes: part } : await this.#readLeaf(part, { signal })),
      ahead: this.#init.readAhead,
      onEnd: this.#init.onEnd,
    })
  }

  async find(root: string, path: readonly string[], options: StoreOptions = {}): Promise<Found | undefined> {
    let cid = parseCid(root)
    for (const name of path) {
      const child = await this.#child(cid, name, options)
      if (child === undefined) {
        return undefined
      }
      cid = child
    }
    return await this.#stat(cid, options)
  }

  async *list(directory: string, options: StoreOptions = {}): AsyncGenerator<{ name: string; cid: string }> {
    const parts = new Set<string>()
    const load = async (cid: CID): Promise<Uint8Array> => await this.#components.blocks.read(cid, options)
    const root = parseCid(directory)
    // the entries are not walked, only the shards of the directory itself
    for await (const { node } of walkNodes(root, {
      load,
      follow: cid => cid === root || parts.has(cid.toString()),
      ...options,
    })) {
      if (node.type === 'directory' || node.type === 'shard') {
        node.links
          .filter(({ to }) => to === 'shard')
          .forEach(({ cid }) => {
            parts.add(cid.toString())
          })
        yield* node.links.filter(({ to }) => to === 'entry').map(({ name, cid }) => ({ name, cid: cid.toString() }))
      }
    }
  }

  async canonical(cid: string, options: StoreOptions = {}): Promise<Content | undefined> {
    return await canonicalFile(parseCid(cid), async cid => await this.#components.blocks.read(cid, options))
  }

  async #readLeaf(slice: LeafSlice, options: StoreOptions): Promise<Chunk> {
    const { blocks, buffers } = this.#components
    const buffer = buffers.take()
    const release = (): void => {
      buffers.give(buffer)
    }
    let isFilled = false
    try {
      const bytes = await blocks.read(slice.cid, { ...options, into: buffer })
      if (!isLeafOf(slice.leafSize, bytes)) {
        await refuseLeaf(slice.cid, bytes, slice.leafSize)
      }
      isFilled = bytes.buffer === buffer.buffer
      return { bytes: bytes.subarray(slice.start, slice.end), release: isFilled ? release : undefined }
    } finally {
      if (!isFilled) {
        release()
      }
    }
  }

  async #child(directory: CID, name: string, options: StoreOptions): Promise<CID | undefined> {
    const node = directory.code === raw.code ? undefined : await this.#node(directory, options)
    if (node?.type === 'directory') {
      return node.links.find(link => link.name === name)?.cid
    }
    return node?.type === 'shard' ? await this.#childOfShard(directory, name, options) : undefined
  }

  /** In a sharded directory a name is found by its hash; the library knows how to follow it */
  async #childOfShard(directory: CID, name: string, options: StoreOptions): Promise<CID | undefined> {
    let failure: unknown
    const blockstore = this.#asBlockstore(err => {
      failure = err
    })
    try {
      return (await unixfs({ blockstore }).stat(directory, { ...signalOf(options), path: name })).cid
    } catch (err) {
      if (failure !== undefined || (err as Error).name === 'AbortError') {
        throw failure ?? err
      }
      return undefined
    }
  }

  async #stat(cid: CID, options: StoreOptions): Promise<Found | undefined> {
    if (cid.code === raw.code) {
      const bytes = inlineBlock(cid) ?? (await this.#components.blocks.read(cid, options))
      if (!isLeafOf(undefined, bytes)) {
        await refuseLeaf(cid, bytes, undefined)
      }
      return { type: 'file', cid: cid.toString(), size: bytes.byteLength, claimedDagSize: bytes.byteLength }
    }
    const { type, size, links, bytes } = await this.#root(cid, options)
    if (type === 'symlink') {
      return undefined
    }
    const claimed = links.reduce((total, { claimedDagSize }) => total + claimedDagSize, bytes.byteLength)
    return { type: type === 'file' ? 'file' : 'directory', cid: cid.toString(), size, claimedDagSize: claimed }
  }

  /**
   * Reads the node that the caller named, which may come from anyone; the nodes below it are then covered by its check
   */
  async #root(cid: CID, options: StoreOptions): ReturnType<typeof readNode> {
    const node = await this.#node(cid, options)
    if (this.#init.isKnown !== true && node.type === 'file') {
      await requireBacked(cid, node, async cid => await this.#components.blocks.read(cid, options))
    }
    return node
  }

  async #node(cid: CID, options: StoreOptions): ReturnType<typeof readNode> {
    return await readNode(cid, async (cid, options) => await this.#components.blocks.read(cid, options), options)
  }

  /**
   * For the library, which follows a name through a sharded directory; it reads no more nodes than a DAG may be deep
   */
  #asBlockstore(onError: (err: unknown) => void): Parameters<typeof unixfs>[0]['blockstore'] {
    let depth = 0
    const read = async (cid: CID, options: StoreOptions): Promise<Uint8Array> => {
      try {
        requireCid(cid)
        requireDepth(cid, ++depth, 0)
        return cid.code === raw.code
          ? (inlineBlock(cid) ?? (await this.#components.blocks.read(cid, options)))
          : (await this.#node(cid, options)).bytes
      } catch (err) {
        onError(err)
        throw err
      }
    }
    return {
      get: async function* (cid, options) {
        yield await read(cid, { signal: options?.signal })
      },
      has: () => true,
      put: () => {
        throw new Error('a reader does not store blocks')
      },
    }
  }
}

function signalOf({ signal }: StoreOptions): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal }
}
