/**
 * blockstore-fs with durable writes and whole-block reads.
 *
 * ```
 * <location>/<last two characters of the name>/<base32upper of the multihash>.data     a block: blockstore-fs's own layout
 * <location>/bytes                                                                      how many bytes they take, after a clean stop (block-usage.ts)
 * <location>/tmp/                                                                       blocks that are being written; emptied at open
 * ```
 *
 * A block is written beside its place, synced, and renamed into it, so that what lies in its place is whole. Its *name* is on disk only
 * after the directory is synced too, which `sync()` does for all directories that changed since: one call for the many blocks of a blob.
 */
import { mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FsBlockstore } from 'blockstore-fs'
import { NextToLast } from 'blockstore-fs/sharding'
import type { AbortOptions } from '@libp2p/interface'
import { NotFoundError } from 'interface-store'
import type { CID } from 'multiformats/cid'
import { BlockGuard, type BlockGuardInit } from './collection-guard.ts'
import { blockKey, type BlockSet } from '../blocks/block-set.ts'
import { hasFile, inlineBlock, requireCid, shown } from '../blocks/block-cid.ts'
import { holdsBytes } from './holds-bytes.ts'
import { Quarantine, type QuarantineInit } from './quarantine.ts'
import { StorageSpace, type ReserveOptions, type StorageSpaceInit } from './storage-space.ts'
import { syncDirectory } from './sync-directory.ts'
import { sweepBlocks, type SweepOptions, type Swept } from './sweep.ts'
import { CheckingReader, type CheckingReaderInit } from './checking-reader.ts'
import { UnsyncedDirectories } from './unsynced-directories.ts'

export interface DurableBlockstoreInit extends BlockGuardInit, CheckingReaderInit, QuarantineInit, StorageSpaceInit {
  /**
   * Whether blocks are synced to disk
   *
   * @default true
   */
  fsync?: boolean
}

export class DurableBlockstore extends FsBlockstore {
  readonly #fsync: boolean
  readonly #tmp: string
  readonly #sharding: NextToLast
  readonly #guard: BlockGuard
  readonly #reader: CheckingReader
  readonly #quarantine: Quarantine
  readonly #made = new Set<string>()
  readonly #unsynced: UnsyncedDirectories
  /** Directories that lost names: what comes back after a power failure is garbage, but was not counted at the close */
  readonly #unlinked = new Set<string>()
  #writes = 0
  /** Blocks that are being written, by file */
  readonly #writing = new Map<string, Promise<void>>()
  /** How much there is for blocks */
  readonly space: StorageSpace

  constructor(location: string, init: DurableBlockstoreInit = {}) {
    const sharding = new NextToLast()
    super(location, { shardingStrategy: sharding })
    this.#sharding = sharding
    this.#fsync = init.fsync ?? true
    this.#unsynced = new UnsyncedDirectories({ fsync: this.#fsync })
    this.#guard = new BlockGuard(init)
    this.#reader = new CheckingReader(init)
    this.#quarantine = new Quarantine(join(dirname(this.path), 'quarantine'), init)
    this.space = new StorageSpace(this.path, init)
    this.#tmp = join(this.path, 'tmp')
  }

  override async open(): Promise<void> {
    await super.open()
    await rm(this.#tmp, { recursive: true, force: true })
    await mkdir(this.#tmp)
    await this.space.open()
    if (this.#fsync) {
      await syncDirectory(this.path)
      await syncDirectory(dirname(this.path))
    }
  }

  override async close(): Promise<void> {
    this.#unlinked.forEach(directory => this.#unsynced.add(directory))
    await this.sync()
    await this.space.close()
  }

  /**
   * A block that lies in its CID is not stored
   *
   * @throws StorageFullError; RefusedDagError where nobody could compare the block with its CID
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
    const place = this.#sharding.encode(cid)
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

  /** The whole block in one piece: at most 2 MiB, as everything that IPFS peers exchange */
  override async *get(cid: CID, options?: AbortOptions): AsyncGenerator<Uint8Array> {
    yield await this.read(cid, options)
  }

  /**
   * @param options.into where the block is read to, if it fits in
   * @param options.protect whether a collection of garbage that runs now must leave the block alone
   * @throws NotFoundError, DamagedBlockError
   */
  async read(
    cid: CID,
    options?: AbortOptions & { into?: Uint8Array | undefined; protect?: boolean | undefined },
  ): Promise<Uint8Array> {
    options?.signal?.throwIfAborted()
    if (!hasFile(cid)) {
      return inlineBlock(cid) ?? missing(cid)
    }
    const { dir, file } = this.#sharding.encode(cid)
    if (options?.protect === true) {
      await this.#guard.read(file, blockKey(cid.multihash.digest))
    }
    return await this.#reader.read(cid, join(this.path, dir, file), options?.into)
  }

  /** Bytes of the file of a block; 0 where there is none */
  async size(cid: CID): Promise<number> {
    if (!hasFile(cid)) {
      return 0
    }
    const { dir, file } = this.#sharding.encode(cid)
    return await sizeOf(join(this.path, dir, file))
  }

  override async delete(cid: CID, options?: AbortOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    if (!hasFile(cid)) {
      return
    }
    const { dir, file } = this.#sharding.encode(cid)
    await this.#guard.delete(file, async () => await this.#unlink(dir, file))
  }

  /**
   * Moves a block into the quarantine, unless somebody puts it now: that replaces it
   *
   * @param isDamaged asked while nobody can put it
   */
  async quarantine(cid: CID, isDamaged: () => Promise<boolean>): Promise<void> {
    if (!hasFile(cid)) {
      return
    }
    const { dir, file } = this.#sharding.encode(cid)
    if (!this.#guard.isPutting(file)) {
      await this.#guard.delete(file, async () => {
        if (await isDamaged()) {
          await this.#moveAway(dir, file)
        }
      })
    }
  }

  /** Until it is disposed of, no sweep deletes what is put from now on */
  beginCollection(): Disposable {
    return this.#guard.beginCollection()
  }

  /**
   * Deletes every block that is neither kept nor in use. Readers that have a block open read on.
   *
   * @param keep all that was reachable at some time after {@link beginCollection}
   */
  async sweep(keep: BlockSet, options: SweepOptions = {}): Promise<Swept> {
    // not synced: a push that waits for its own directories must not wait for all of these
    return await sweepBlocks(
      this.path,
      ({ directory, file, key }) => {
        if (keep.has(key) || this.#guard.isUsed(file, key, options.recent)) {
          return undefined
        }
        return options.dryRun === true
          ? sizeOf(join(this.path, directory, file))
          : this.#guard.delete(file, async () => await this.#unlink(directory, file))
      },
      options,
    )
  }

  /** Resolves when the names of all blocks that were put before the call are on disk. Calls that come while one runs share the next. */
  async sync(): Promise<void> {
    await this.#unsynced.sync()
  }

  /** @returns the bytes that are free now */
  async #unlink(directory: string, file: string): Promise<number> {
    const target = join(this.path, directory, file)
    using change = this.space.usage.change(directory)
    const size = await sizeOf(target)
    await unlink(target).catch(ignoreMissing)
    change.done(-size)
    this.#unlinked.add(join(this.path, directory))
    return size
  }

  async #moveAway(directory: string, file: string): Promise<void> {
    const target = join(this.path, directory, file)
    using change = this.space.usage.change(directory)
    const size = await sizeOf(target)
    await this.#quarantine.add(target)
    change.done(-size)
  }

  async #store(
    cid: CID,
    { dir, file }: { dir: string; file: string },
    bytes: Uint8Array,
    options: ReserveOptions | undefined,
  ): Promise<void> {
    const directory = join(this.path, dir)
    const target = join(directory, file)
    const held = await holdsBytes(target, bytes)
    if (held === false) {
      await this.#moveAway(dir, file)
    }
    if (held !== true) {
      using reservation = await this.space.reserve(dir, bytes.byteLength, options)
      try {
        await this.#makeDirectory(directory)
        await this.#write(target, cid, bytes)
      } catch (err) {
        throw codeOf(err) === 'ENOSPC' || codeOf(err) === 'EDQUOT' ? this.space.failed(err) : err
      }
      reservation.written(bytes.byteLength)
    }
    // for a block that was there too: whoever wrote it may not have synced its name yet
    this.#unsynced.add(directory)
  }

  async #makeDirectory(directory: string): Promise<void> {
    if (this.#made.has(directory)) {
      return
    }
    await mkdir(directory, { recursive: true })
    this.#unsynced.add(this.path)
    this.#made.add(directory)
  }

  async #write(target: string, cid: CID, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#tmp, `${this.#writes++}`)
    try {
      const handle = await open(temporary, 'wx')
      try {
        for (let written = 0; written < bytes.byteLength; ) {
          written += (await handle.write(bytes, written)).bytesWritten
        }
        if (this.#fsync) {
          await handle.datasync()
        }
        this.#reader.wrote(cid, (await handle.stat()).mtimeMs)
      } finally {
        await handle.close()
      }
      await rename(temporary, target)
    } catch (err) {
      await rm(temporary, { force: true })
      throw err
    }
  }
}

function missing(cid: CID): never {
  throw new NotFoundError(`No block ${shown(cid)}`)
}

function ignoreMissing(err: unknown): void {
  if (codeOf(err) !== 'ENOENT') {
    throw err
  }
}

/** Bytes of a file that may be gone by now */
async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

function codeOf(err: unknown): string | undefined {
  return (err as NodeJS.ErrnoException).code
}
