/**
 * Blocks on disk: blockstore-fs with durable writes, whole-block reads that never return a damaged block, and garbage
 * collection while everything goes on. `layout.ts` draws the directory. The parts, each with one concern:
 *
 * - write: `block-writer.ts`, `unsynced-directories.ts`; room for it: `storage-space.ts`, which counts in
 *   `block-usage.ts`
 * - read: `checking-reader.ts` compares each block with its CID, on the threads of `read-workers.ts`, and remembers in
 *   `verified-blocks.ts`
 * - delete: `sweep.ts` walks all blocks; `collection-guard.ts` keeps it off those in use; `quarantine.ts` takes the
 *   damaged ones
 * - without comparing: `unchecked-blocks.ts` for fsck, `small-blocks.ts` for a rebuild of the index
 *
 * Imports `src/ipfs/blocks`, the errors of `src/ipfs` and `src/scheduling`. Begin here.
 */
import { unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FsBlockstore } from 'blockstore-fs'
import type { AbortOptions } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { hasFile, inlineBlock, requireCid } from '../blocks/block-cid.ts'
import { blockKey, type BlockSet } from '../blocks/block-set.ts'
import { blockNotFound } from '../blocks/block.ts'
import { BlockWriter, type BlockWriterInit } from './block-writer.ts'
import { CheckingReader, type CheckingReaderInit } from './checking-reader.ts'
import { CollectionGuard, type CollectionGuardInit } from './collection-guard.ts'
import { holdsBytes } from './holds-bytes.ts'
import { blockPath, placeOf, sharding, type BlockPlace } from './layout.ts'
import { Quarantine, type QuarantineInit } from './quarantine.ts'
import { sizeOf } from './read-file.ts'
import { StorageSpace, type ReserveOptions, type StorageSpaceInit } from './storage-space.ts'
import { sweepBlocks, type SweepOptions, type Swept } from './sweep.ts'

export interface DurableBlockstoreInit
  extends BlockWriterInit,
    CollectionGuardInit,
    CheckingReaderInit,
    QuarantineInit,
    StorageSpaceInit {}

export class DurableBlockstore extends FsBlockstore {
  readonly #writer: BlockWriter
  readonly #guard: CollectionGuard
  readonly #reader: CheckingReader
  readonly #quarantine: Quarantine
  /** Puts that are under way, by the name of the file; a second put of the same block waits for the first */
  readonly #writing = new Map<string, Promise<void>>()
  /** How much room there is for blocks */
  readonly space: StorageSpace

  constructor(location: string, init: DurableBlockstoreInit = {}) {
    super(location, { shardingStrategy: sharding })
    this.#writer = new BlockWriter(this.path, init)
    this.#guard = new CollectionGuard(init)
    this.#reader = new CheckingReader(init)
    this.#quarantine = new Quarantine(join(dirname(this.path), 'quarantine'), init)
    this.space = new StorageSpace(this.path, init)
  }

  override async open(): Promise<void> {
    await super.open()
    await this.#writer.open()
    await this.space.open()
    await this.#writer.syncLocation()
  }

  override async close(): Promise<void> {
    await this.#writer.close()
    await this.space.close()
  }

  /**
   * Stores a block; it is durable after the next {@link sync}. A block whose bytes are in its CID needs no file.
   *
   * @throws StorageFullError; RefusedDagError where the CID is of a kind that we can't compare bytes with
   */
  override async put(
    cid: CID,
    block: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    options?: AbortOptions & ReserveOptions,
  ): Promise<CID> {
    options?.signal?.throwIfAborted()
    if (!hasFile(cid)) {
      requireCid(cid)
      return cid
    }
    const bytes = block instanceof Uint8Array ? block : Buffer.concat(await Array.fromAsync(block))
    const place = placeOf(cid)
    const { file } = place
    using _use = this.#guard.put(file, blockKey(cid.multihash.digest))
    await this.#guard.deletion(file)
    for (let other = this.#writing.get(file); other !== undefined; other = this.#writing.get(file)) {
      await other
    }
    const stored = this.#store(cid, place, bytes, options)
    this.#writing.set(
      file,
      stored.catch(() => {}),
    )
    try {
      await stored
    } finally {
      this.#writing.delete(file)
    }
    return cid
  }

  override async has(cid: CID, options?: AbortOptions): Promise<boolean> {
    options?.signal?.throwIfAborted()
    return hasFile(cid) ? await super.has(cid) : inlineBlock(cid) !== undefined
  }

  /** The whole block in one piece: it has at most 2 MiB */
  override async *get(cid: CID, options?: AbortOptions): AsyncGenerator<Uint8Array> {
    yield await this.read(cid, options)
  }

  /**
   * @param options.into where the block is read to, if it fits
   * @param options.protect whether a garbage collection that is running must not delete the block
   * @throws NotFoundError, DamagedBlockError
   */
  async read(
    cid: CID,
    options?: AbortOptions & { into?: Uint8Array | undefined; protect?: boolean | undefined },
  ): Promise<Uint8Array> {
    options?.signal?.throwIfAborted()
    if (!hasFile(cid)) {
      const inline = inlineBlock(cid)
      if (inline === undefined) {
        throw blockNotFound(cid)
      }
      return inline
    }
    const { directory, file } = placeOf(cid)
    if (options?.protect === true) {
      await this.#guard.read(file, blockKey(cid.multihash.digest))
    }
    return await this.#reader.read(cid, join(this.path, directory, file), options?.into)
  }

  /** Bytes of the file of a block; 0 where there is none */
  async size(cid: CID): Promise<number> {
    return hasFile(cid) ? await sizeOf(blockPath(this.path, cid)) : 0
  }

  override async delete(cid: CID, options?: AbortOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    if (!hasFile(cid)) {
      return
    }
    const place = placeOf(cid)
    await this.#guard.delete(place.file, async () => await this.#unlink(place))
  }

  /**
   * Moves a damaged block into the quarantine. Does nothing while the same block is being put, as that replaces the
   * damaged one.
   *
   * @param isDamaged called while no put of the block can begin; the block stays where it resolves to false
   */
  async quarantine(cid: CID, isDamaged: () => Promise<boolean>): Promise<void> {
    if (!hasFile(cid)) {
      return
    }
    const place = placeOf(cid)
    if (!this.#guard.isPutting(place.file)) {
      await this.#guard.delete(place.file, async () => {
        if (await isDamaged()) {
          await this.#moveAway(place)
        }
      })
    }
  }

  /** From this call until the result is disposed of, no sweep deletes a block that is put */
  beginCollection(): Disposable {
    return this.#guard.beginCollection()
  }

  /**
   * Deletes every block that is neither kept nor in use. Whoever is reading such a block can read it to its end.
   *
   * @param keep every block that was reachable at some moment after {@link beginCollection}
   */
  async sweep(keep: BlockSet, options: SweepOptions = {}): Promise<Swept> {
    // the deletions are not synced here: a push that waits for its own directories would wait for these, too
    return await sweepBlocks(
      this.path,
      ({ key, ...place }) => {
        if (keep.has(key) || this.#guard.isUsed(place.file, key, options.recent)) {
          return undefined
        }
        return options.dryRun === true
          ? sizeOf(join(this.path, place.directory, place.file))
          : this.#guard.delete(place.file, async () => await this.#unlink(place))
      },
      options,
    )
  }

  /**
   * Resolves when all blocks that were put before the call are durable. Calls that come while one runs share the next.
   */
  async sync(): Promise<void> {
    await this.#writer.sync()
  }

  /** @returns how many bytes that freed */
  async #unlink({ directory, file }: BlockPlace): Promise<number> {
    const path = join(this.path, directory, file)
    using change = this.space.usage.change(directory)
    const size = await sizeOf(path)
    await unlink(path).catch(ignoreMissing)
    change.done(-size)
    this.#writer.deletedFrom(directory)
    return size
  }

  async #moveAway({ directory, file }: BlockPlace): Promise<void> {
    const path = join(this.path, directory, file)
    using change = this.space.usage.change(directory)
    const size = await sizeOf(path)
    await this.#quarantine.add(path)
    change.done(-size)
  }

  async #store(cid: CID, place: BlockPlace, bytes: Uint8Array, options: ReserveOptions | undefined): Promise<void> {
    const { directory, file } = place
    const held = await holdsBytes(join(this.path, directory, file), bytes)
    if (held === false) {
      await this.#moveAway(place)
    }
    if (held !== true) {
      using reservation = await this.space.reserve(directory, bytes.byteLength, options)
      try {
        this.#reader.wrote(cid, await this.#writer.write(place, bytes))
      } catch (err) {
        throw isFull(err) ? this.space.failed(err) : err
      }
      reservation.written(bytes.byteLength)
    }
    // even if the block was there already: the put that wrote it may not have synced the directory yet
    this.#writer.changed(directory)
  }
}

function isFull(err: unknown): boolean {
  const { code } = err as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}

function ignoreMissing(err: unknown): void {
  if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
    throw err
  }
}
