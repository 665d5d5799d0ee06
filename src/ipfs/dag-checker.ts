import * as dagPb from '@ipld/dag-pb'
import { equals } from 'multiformats/bytes'
import { CID } from 'multiformats/cid'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { digestFrom, type Digest, type DigestAlgorithm } from '../oci/digest.ts'
import type { BlockFiles } from './block-files.ts'
import { blockKey, BlockSet } from './block-set.ts'
import { BufferPool } from './buffer-pool.ts'
import type { StoreOptions } from './content-store.ts'
import { decodeNode, leafSize } from './dag.ts'
import type { Hasher } from './hasher.ts'
import type { RateLimit } from './rate-limit.ts'

/** Multicodec code of a multihash that is the block itself: it has no file */
const identity = 0

export interface BadBlock {
  cid: string
  problem: 'missing' | 'damaged'
}

export interface CheckedFile {
  /** What is bad below the root; the rest says nothing then */
  bad: BadBlock[]
  size: number
  digest: Digest
}

export interface DagCheckerComponents {
  files: Pick<BlockFiles, 'list' | 'read'>
  hasher: Hasher
  rate: RateLimit
  /** Is told each block that was read and is right, once */
  onChecked: (bytes: number) => void
}

interface Part {
  bytes: Uint8Array
  /** Undefined where the bytes lie in a node, which is right */
  leaf: CID | undefined
}

/**
 * Compares blocks with their CIDs, as they lie on disk. What was right once is not read again, so each block is read about once, however many
 * files and directories have it.
 */
export class DagChecker {
  readonly #components: DagCheckerComponents
  readonly #buffers = new BufferPool(leafSize, 4)
  readonly #right = new BlockSet()
  /** Nodes below which all is right */
  readonly #complete = new BlockSet()
  /** Blocks that were damaged when they were read last */
  readonly #damaged = new BlockSet()

  constructor (components: DagCheckerComponents) {
    this.#components = components
  }

  /** Checks a file from its first byte to its last, all of which are read */
  async file (root: string, algorithm: DigestAlgorithm, options: StoreOptions = {}): Promise<CheckedFile> {
    const bad = new Map<string, BadBlock>()
    const hash = this.#components.hasher.file(algorithm)
    const buffer = this.#buffers.take()
    let size = 0
    try {
      for await (const part of this.#parts(CID.parse(root), buffer, options)) {
        if ('problem' in part) {
          bad.set(part.cid, part)
          continue
        }
        const { bytes, leaf } = part
        size += bytes.byteLength
        const digest = await hash.leaf(bytes)
        if (leaf !== undefined && !await this.#note(leaf, bytes, leaf.multihash.code === sha256.code ? digest : undefined)) {
          bad.set(leaf.toString(), this.#isDamaged(leaf))
        }
      }
      const { whole } = await hash.tail(new Uint8Array())
      return { bad: [...bad.values()], size, digest: digestFrom(algorithm, Buffer.from(whole).toString('hex')) }
    } finally {
      hash.discard()
      this.#buffers.give(buffer)
    }
  }

  /**
   * Checks all below a root
   *
   * @param options.except CIDs in base32, which are left out with what only they lead to
   */
  async dag (root: string, options: StoreOptions & { except?: ReadonlySet<string> | undefined } = {}): Promise<BadBlock[]> {
    const bad = new Map<string, BadBlock>()
    await this.#below(CID.parse(root), bad, options)
    return [...bad.values()]
  }

  /** @returns undefined where the block is right */
  async block (cid: CID, options: StoreOptions = {}): Promise<BadBlock | undefined> {
    if (cid.multihash.code === identity || this.#right.has(keyOf(cid))) {
      return undefined
    }
    const buffer = this.#buffers.take()
    try {
      const bytes = await this.#read(cid, buffer, options)
      return 'problem' in bytes ? bytes : await this.#note(cid, bytes) ? undefined : this.#isDamaged(cid)
    } finally {
      this.#buffers.give(buffer)
    }
  }

  /** The damaged ones of those blocks on disk that were in no file or directory so far; each is named as a leaf is */
  async * others (options: StoreOptions = {}): AsyncGenerator<BadBlock> {
    for await (const cid of this.#components.files.list(options)) {
      const bad = this.#damaged.has(keyOf(cid)) ? undefined : await this.block(cid, options)
      // one that is missing was deleted since it was listed
      if (bad?.problem === 'damaged') {
        yield bad
      }
    }
  }

  async #below (cid: CID, bad: Map<string, BadBlock>, options: StoreOptions & { except?: ReadonlySet<string> | undefined }): Promise<void> {
    options.signal?.throwIfAborted()
    const hasFile = cid.multihash.code !== identity
    if (options.except?.has(cid.toString()) === true || (cid.code === dagPb.code && hasFile && this.#complete.has(keyOf(cid)))) {
      return
    }
    if (cid.code !== dagPb.code) {
      const found = await this.block(cid, options)
      if (found !== undefined) {
        bad.set(found.cid, found)
      }
      return
    }
    const node = await this.#node(cid, options)
    if ('problem' in node) {
      bad.set(node.cid, node)
      return
    }
    const before = bad.size
    for (const link of node.links) {
      await this.#below(link, bad, options)
    }
    if (bad.size === before && hasFile && options.except === undefined) {
      this.#complete.add(keyOf(cid))
    }
  }

  /** The bytes of a file in order; those of a leaf are not compared with its CID yet */
  async * #parts (cid: CID, buffer: Uint8Array, options: StoreOptions): AsyncGenerator<Part | BadBlock> {
    options.signal?.throwIfAborted()
    if (cid.code !== dagPb.code) {
      const bytes = await this.#read(cid, buffer, options)
      yield 'problem' in bytes ? bytes : { bytes, leaf: cid }
      return
    }
    const node = await this.#node(cid, options)
    if ('problem' in node) {
      yield node
      return
    }
    if (node.data !== undefined) {
      yield { bytes: node.data, leaf: undefined }
    }
    for (const link of node.links) {
      yield * this.#parts(link, buffer, options)
    }
  }

  /** What is right, but no node of UnixFS, is one without links */
  async #node (cid: CID, options: StoreOptions): Promise<{ data: Uint8Array | undefined, links: CID[] } | BadBlock> {
    const buffer = this.#buffers.take()
    try {
      const bytes = await this.#read(cid, buffer, options)
      if ('problem' in bytes) {
        return bytes
      }
      if (!await this.#note(cid, bytes)) {
        return this.#isDamaged(cid)
      }
      // a copy, as the node refers to the bytes that it is made of
      const node = decodeNode(cid, new Uint8Array(bytes))
      return { data: node?.unixfs.type === 'file' || node?.unixfs.type === 'raw' ? node.unixfs.data : undefined, links: node?.links.map(({ Hash: hash }) => hash) ?? [] }
    } finally {
      this.#buffers.give(buffer)
    }
  }

  async #read (cid: CID, buffer: Uint8Array, options: StoreOptions): Promise<Uint8Array | BadBlock> {
    if (cid.multihash.code === identity) {
      return cid.multihash.digest
    }
    try {
      const bytes = await this.#components.files.read(cid, buffer)
      await this.#components.rate.take(bytes.byteLength, options)
      return bytes
    } catch (err) {
      switch ((err as Error).name) {
        case 'NotFoundError':
          return { cid: cid.toString(), problem: 'missing' }
        case 'DamagedBlockError':
          return this.#isDamaged(cid)
        default:
          throw err
      }
    }
  }

  /**
   * Compares what a block holds with its CID, and notes it where it is right
   *
   * @param digest what it is, where it is known
   */
  async #note ({ multihash }: CID, bytes: Uint8Array, digest?: Uint8Array): Promise<boolean> {
    if (multihash.code !== identity) {
      const actual = digest ?? await this.#digest(multihash.code, bytes)
      // a multihash may have a part of the digest only; of what nobody here can compare nothing is known to be wrong
      if (actual !== undefined && !equals(actual.subarray(0, multihash.digest.byteLength), multihash.digest)) {
        return false
      }
      const key = blockKey(multihash.digest)
      if (!this.#right.has(key)) {
        this.#right.add(key)
        this.#components.onChecked(bytes.byteLength)
      }
    }
    return true
  }

  #isDamaged (cid: CID): BadBlock {
    this.#damaged.add(keyOf(cid))
    return { cid: cid.toString(), problem: 'damaged' }
  }

  async #digest (code: number, bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const algorithm = code === sha256.code ? 'sha256' : code === sha512.code ? 'sha512' : undefined
    if (algorithm === undefined) {
      return undefined
    }
    const hash = this.#components.hasher.file(algorithm)
    try {
      return (await hash.tail(bytes)).whole
    } finally {
      hash.discard()
    }
  }
}

function keyOf (cid: CID): ReturnType<typeof blockKey> {
  return blockKey(cid.multihash.digest)
}
