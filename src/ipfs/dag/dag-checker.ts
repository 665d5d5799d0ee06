import * as dagPb from '@ipld/dag-pb'
import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { digestFrom, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import type { UncheckedBlocks } from '../blockstore/unchecked-blocks.ts'
import { blockKey, BlockSet } from '../blocks/block-set.ts'
import { BufferPool } from '../blocks/buffer-pool.ts'
import type { StoreOptions } from '../content-store.ts'
import { leafSize } from './encode-node.ts'
import { decodeNode, type DagNode } from './decode-node.ts'
import { isLeafOf, refuseLeaf } from './require-child.ts'
import { hasFile, inlineBlock, parseCid } from '../blocks/block-cid.ts'
import { leavesOf, WalkedNodes, walkNodes } from './dag-walk.ts'
import { walkFile } from './file-walk.ts'
import type { Hasher } from '../hashing/hasher.ts'
import type { RateLimit } from '../../scheduling/rate-limit.ts'

export interface BadBlock {
  cid: string
  problem: 'missing' | 'damaged'
}

export interface CheckedFile {
  /** Missing and damaged blocks of the file; if there are any, `size` and `digest` mean nothing */
  bad: BadBlock[]
  size: number
  digest: Digest
}

export interface DagCheckerComponents {
  files: Pick<UncheckedBlocks, 'list' | 'read'>
  hasher: Hasher
  rate: RateLimit
  /** Called once for each block that was read and is right, with its bytes */
  onChecked: (bytes: number) => void
}

/**
 * Compares blocks with their CIDs, as they lie on disk: the part of fsck that reads blocks. A leaf that was right is
 * not read again, so each block is read about once, however many files and directories have it.
 */
export class DagChecker {
  readonly #components: DagCheckerComponents
  readonly #buffers = new BufferPool(leafSize, 4)
  readonly #right = new BlockSet()
  /** Nodes below which everything is right */
  readonly #complete = new WalkedNodes()
  /** Blocks that were damaged when they were last read */
  readonly #damaged = new BlockSet()

  constructor(components: DagCheckerComponents) {
    this.#components = components
  }

  /** Reads a file from its first byte to its last */
  async file(root: string, algorithm: DigestAlgorithm, options: StoreOptions = {}): Promise<CheckedFile> {
    const bad = new Map<string, BadBlock>()
    const hash = this.#components.hasher.file(algorithm)
    const buffer = this.#buffers.take()
    let size = 0
    try {
      for await (const part of walkFile(
        parseCid(root),
        async cid => await this.#node(cid, bad, options),
        0,
        Infinity,
      )) {
        options.signal?.throwIfAborted()
        const isLeaf = !(part instanceof Uint8Array)
        const bytes = isLeaf ? await this.#read(part.cid, buffer, options) : part
        if ('problem' in bytes) {
          bad.set(bytes.cid, bytes)
          continue
        }
        size += bytes.byteLength
        const digest = await hash.leaf(bytes)
        if (isLeaf) {
          const { cid, leafSize } = part
          await this.#noteLeaf(cid, bytes, leafSize, bad, cid.multihash.code === sha256.code ? digest : undefined)
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
   * Reads what is below a root, without the leaves and nodes that were right before
   *
   * @param options.except CIDs in base32 that are left out, with everything that can be reached only through them
   */
  async dag(
    root: string,
    options: StoreOptions & { except?: ReadonlySet<string> | undefined } = {},
  ): Promise<BadBlock[]> {
    const bad = new Map<string, BadBlock>()
    const { except, signal } = options
    const top = parseCid(root)
    const isLeft = (cid: CID): boolean => except?.has(cid.toString()) === true
    if (top.code !== dagPb.code && !isLeft(top)) {
      await this.#leaf(top, undefined, bad, options)
    }
    const load = async (cid: CID): Promise<Uint8Array | undefined> => (await this.#node(cid, bad, options))?.bytes
    for await (const walked of walkNodes(top, { load, follow: cid => !isLeft(cid), walked: this.#complete, signal })) {
      for (const { cid, to, size } of leavesOf(walked.node)) {
        signal?.throwIfAborted()
        if (isLeft(cid) || !(await this.#leaf(cid, to === 'part' ? size : undefined, bad, options))) {
          walked.isWhole = false
        }
      }
    }
    return [...bad.values()]
  }

  /** @returns undefined where the block is right */
  async block(cid: CID, options: StoreOptions = {}): Promise<BadBlock | undefined> {
    const bad = new Map<string, BadBlock>()
    await this.#leaf(cid, undefined, bad, options)
    return bad.get(cid.toString())
  }

  /**
   * Reads the blocks on disk that were in no file or directory so far, and yields the damaged ones, each with the CID
   * of a leaf
   */
  async *others(options: StoreOptions = {}): AsyncGenerator<BadBlock> {
    for await (const cid of this.#components.files.list(options)) {
      const bad = this.#damaged.has(keyOf(cid)) ? undefined : await this.block(cid, options)
      // a missing one was deleted after it was listed
      if (bad?.problem === 'damaged') {
        yield bad
      }
    }
  }

  /** @returns whether the block is right; one that was right before is not read again */
  async #leaf(cid: CID, size: number | undefined, bad: Map<string, BadBlock>, options: StoreOptions): Promise<boolean> {
    if (inlineBlock(cid) !== undefined || (hasFile(cid) && this.#right.has(keyOf(cid)))) {
      return true
    }
    const buffer = this.#buffers.take()
    try {
      const bytes = await this.#read(cid, buffer, options)
      if ('problem' in bytes) {
        bad.set(bytes.cid, bytes)
        return false
      }
      return await this.#noteLeaf(cid, bytes, size, bad)
    } finally {
      this.#buffers.give(buffer)
    }
  }

  /**
   * @param size bytes that its parent says it has
   * @param digest of the bytes by the hash function of the CID, where it has been computed already
   * @throws RefusedDagError where the leaf matches its CID, but has another size than its parent says
   */
  async #noteLeaf(
    cid: CID,
    bytes: Uint8Array,
    size: number | undefined,
    bad: Map<string, BadBlock>,
    digest?: Uint8Array,
  ): Promise<boolean> {
    if (!(await this.#note(cid, bytes, digest))) {
      bad.set(cid.toString(), this.#isDamaged(cid))
      return false
    }
    return size === undefined || isLeafOf(size, bytes) ? true : await refuseLeaf(cid, bytes, size)
  }

  /** @returns undefined where the node is missing or damaged, which is noted in `bad` */
  async #node(
    cid: CID,
    bad: Map<string, BadBlock>,
    options: StoreOptions,
  ): Promise<(DagNode & { bytes: Uint8Array }) | undefined> {
    const buffer = this.#buffers.take()
    try {
      const found = inlineBlock(cid) ?? (await this.#read(cid, buffer, options))
      const isBad = 'problem' in found ? found : (await this.#note(cid, found)) ? undefined : this.#isDamaged(cid)
      if (isBad !== undefined) {
        bad.set(isBad.cid, isBad)
        return undefined
      }
      // copied, because the decoded node refers to these bytes, and the buffer is used again
      const bytes = new Uint8Array(found as Uint8Array)
      return { bytes, ...decodeNode(cid, bytes) }
    } finally {
      this.#buffers.give(buffer)
    }
  }

  async #read(cid: CID, buffer: Uint8Array, options: StoreOptions): Promise<Uint8Array | BadBlock> {
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
   * Compares a block with its CID, and notes it where it is right
   *
   * @param digest of the bytes by the hash function of the CID, where it has been computed already
   */
  async #note(cid: CID, bytes: Uint8Array, digest?: Uint8Array): Promise<boolean> {
    // a CID that we can't compare: nothing shows that the block is damaged. It is not noted, as its key may be that of
    // another block.
    if (!hasFile(cid)) {
      return true
    }
    if (!equals(digest ?? (await this.#digest(cid.multihash.code, bytes)), cid.multihash.digest)) {
      return false
    }
    if (this.#right.add(keyOf(cid))) {
      this.#components.onChecked(bytes.byteLength)
    }
    return true
  }

  #isDamaged(cid: CID): BadBlock {
    this.#damaged.add(keyOf(cid))
    return { cid: cid.toString(), problem: 'damaged' }
  }

  async #digest(code: number, bytes: Uint8Array): Promise<Uint8Array> {
    const algorithm = code === sha512.code ? 'sha512' : 'sha256'
    const hash = this.#components.hasher.file(algorithm)
    try {
      return (await hash.tail(bytes)).whole
    } finally {
      hash.discard()
    }
  }
}

function keyOf(cid: CID): ReturnType<typeof blockKey> {
  return blockKey(cid.multihash.digest)
}
