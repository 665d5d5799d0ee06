/**
 * The room for blocks: together they take at most `storage.maxBytes`, and leave at least `storage.minFree` of the file
 * system free. A block reserves its room before it is written, in one step with the comparison, so that many writers
 * together never take more than there is.
 */
import { statfs } from 'node:fs/promises'
import { BlockUsage } from './block-usage.ts'
import { BlobTooLargeError, StorageFullError } from '../errors.ts'

const mebibyte = 1024 * 1024
const gibibyte = 1024 * mebibyte
const second = 1000
/** Most file systems give a file its room in steps of this */
const pageSize = 4096

/**
 * Free space that blocks never take, so that the index and deletions still have room: LevelDB does not survive a full
 * disk
 */
export const leastMinFree = 8 * mebibyte
/**
 * The share of the file system that stays free by default; at least {@link leastMinFree}, at most {@link mostMinFree}
 */
const minFreeShare = 0.01
const mostMinFree = gibibyte
/**
 * The free space that the system told is asked for again after this many bytes were written, or this many milliseconds
 */
const freeSpaceBytes = 8 * mebibyte
const freeSpaceAge = second
/** A block that can be fetched again leaves this share of the storage to pushes, at most {@link mostShare} */
const pushShare = 0.05
/**
 * How much room a push that found none asks for, as a share of the storage, so that not each of its blocks has to ask
 */
const wantedShare = 0.1
/** The most that either share comes to, in bytes */
const mostShare = gibibyte

export interface StorageSpaceInit {
  /** The most bytes that all blocks together may take; undefined means as many as the file system has */
  maxBytes?: number | undefined
  /**
   * Bytes of the file system that stay free; at least 8 MiB
   *
   * @default 1 % of the file system, at most 1 GiB
   */
  minFree?: number | undefined
  /** Called when there was no room, with the bytes that are wanted: the listener may free some */
  onFull?: ((bytes: number) => void) | undefined
  /** Called with the bytes of each block that was written and can be fetched again */
  onEvictable?: ((bytes: number) => void) | undefined
}

export interface ReserveOptions {
  /** Whether the block can be fetched again; it leaves some room to pushes then */
  evictable?: boolean | undefined
}

/** Room that was taken for a block; disposing of it gives back what was not written */
export interface Reservation extends Disposable {
  /** To be called when the block is written, with the bytes that its file has */
  written: (bytes: number) => void
}

interface FileSystem {
  /** Bytes in all */
  size: number
  /** Bytes free when the system was asked */
  free: number
  askedAt: number
  /** {@link StorageSpace.#written} before the system was asked */
  writtenBefore: number
}

/**
 * The bytes of a file system that blocks leave free
 *
 * @param size its bytes in all
 * @param minFree as in {@link StorageSpaceInit}
 */
export function bytesLeftFree(size: number, minFree: number | undefined): number {
  return Math.max(leastMinFree, minFree ?? Math.min(mostMinFree, Math.floor(size * minFreeShare)))
}

export class StorageSpace {
  /** Bytes of all blocks */
  readonly usage: BlockUsage
  readonly maxBytes: number | undefined
  readonly #location: string
  readonly #minFree: number | undefined
  readonly #onFull: (bytes: number) => void
  readonly #onEvictable: (bytes: number) => void
  #fileSystem: FileSystem | undefined
  #asking: Promise<FileSystem> | undefined
  #reserved = 0
  /** Bytes of the file system that blocks have taken since the start */
  #written = 0
  /** Writes that found no room since the start */
  refused = 0

  /** @param location of the blockstore */
  constructor(location: string, init: StorageSpaceInit = {}) {
    this.#location = location
    this.usage = new BlockUsage(location)
    this.maxBytes = init.maxBytes
    this.#minFree = init.minFree
    this.#onFull = init.onFull ?? (() => {})
    this.#onEvictable = init.onEvictable ?? (() => {})
  }

  async open(): Promise<void> {
    await this.usage.open()
    if (this.maxBytes !== undefined) {
      void this.usage.count()
    }
  }

  async close(): Promise<void> {
    await this.usage.close()
  }

  /** Bytes of the file system: that are free now, how many of them must stay free, and in all */
  async free(): Promise<{ free: number; minFree: number; size: number }> {
    const fileSystem = await this.#ask()
    return { free: fileSystem.free, minFree: this.#minFreeOf(fileSystem), size: fileSystem.size }
  }

  /**
   * Reserves the room for a block
   *
   * @param directory in which the block will lie
   * @throws StorageFullError
   */
  async reserve(directory: string, bytes: number, { evictable = false }: ReserveOptions = {}): Promise<Reservation> {
    // before the first await, so that others who reserve meanwhile see it
    this.#reserved += bytes
    try {
      await this.#requireRoom(0, evictable ? pushShare : 0, bytes)
    } catch (err) {
      this.#reserved -= bytes
      throw err
    }
    const change = this.usage.change(directory)
    return {
      written: grown => {
        change.done(grown)
        this.#written += Math.ceil(bytes / pageSize) * pageSize
        if (evictable) {
          this.#onEvictable(grown)
        }
      },
      [Symbol.dispose]: () => {
        this.#reserved -= bytes
        change[Symbol.dispose]()
      },
    }
  }

  /**
   * Checks whether a blob may grow, before it does; reserves nothing
   *
   * @param size its bytes so far
   * @param more bytes that are to come
   * @throws BlobTooLargeError where no blob can be as large, StorageFullError where there is no room now
   */
  async require(size: number, more: number): Promise<void> {
    await this.#ask()
    this.requireFits(size + more)
    await this.#requireRoom(more, 0, more)
  }

  /** Whether there is any room now; makes none where there is not, unlike a call of {@link require} */
  async hasRoom(): Promise<boolean> {
    const { maxBytes = Infinity } = this
    return this.#roomIn(await this.#ask(), 0) > 0 && this.usage.atLeast + this.#reserved < maxBytes
  }

  /** @throws BlobTooLargeError where so many bytes would not fit even into an empty storage */
  requireFits(bytes: number): void {
    const { maxBytes = Infinity } = this
    const fileSystem = this.#fileSystem?.size ?? Infinity
    if (bytes > Math.min(maxBytes, fileSystem)) {
      throw new BlobTooLargeError({
        limit: maxBytes <= fileSystem ? 'storage.maxBytes' : 'file system',
        maxBytes: Math.min(maxBytes, fileSystem),
        bytes,
      })
    }
  }

  /** To be called when a write failed because the system has no room; returns the error to throw */
  failed(cause: unknown): StorageFullError {
    this.#fileSystem = undefined
    return this.#full({ limit: 'file system', reason: 'the file system is full' }, leastMinFree, cause)
  }

  /**
   * @param more bytes beside those that are reserved
   * @param share share of the storage that must be left free besides
   * @param wanted bytes in all, for the error
   */
  async #requireRoom(more: number, share: number, wanted: number): Promise<void> {
    this.#requireBelowMax(more, share, wanted)
    const now = performance.now()
    const known = this.#fileSystem
    const isFresh =
      known !== undefined && this.#written - known.writtenBefore < freeSpaceBytes && now - known.askedAt < freeSpaceAge
    if (isFresh && this.#roomIn(known, share) >= more) {
      return
    }
    const fileSystem = await this.#ask()
    if (this.#roomIn(fileSystem, share) < more) {
      const { free, size } = fileSystem
      const minFree = this.#minFreeOf(fileSystem)
      const reason = `the file system has ${free} bytes free, of which ${minFree} must stay free`
      throw this.#full({ limit: 'storage.minFree', minFree, free, wanted, reason }, size * wantedShare)
    }
  }

  #requireBelowMax(more: number, share: number, wanted: number): void {
    const { maxBytes } = this
    if (maxBytes === undefined) {
      return
    }
    const used = this.usage.atLeast
    const left = Math.min(maxBytes * share, mostShare)
    if (used + this.#reserved + more + left > maxBytes) {
      const reason = `blocks take ${used} of at most ${maxBytes} bytes`
      throw this.#full({ limit: 'storage.maxBytes', maxBytes, used, wanted, reason }, maxBytes * wantedShare)
    }
  }

  #roomIn(fileSystem: FileSystem, share: number): number {
    // a block that is being written counts twice here: rather too little room than too much
    return (
      fileSystem.free -
      (this.#written - fileSystem.writtenBefore) -
      this.#reserved -
      this.#minFreeOf(fileSystem) -
      Math.min(fileSystem.size * share, mostShare)
    )
  }

  #minFreeOf({ size }: FileSystem): number {
    return bytesLeftFree(size, this.#minFree)
  }

  #full(detail: ConstructorParameters<typeof StorageFullError>[0], share: number, cause?: unknown): StorageFullError {
    this.refused++
    this.#onFull(Math.max(detail?.wanted ?? 0, Math.min(share, mostShare)))
    return new StorageFullError(detail, { cause })
  }

  /** Asks the system for its free space; calls that come while one runs share it */
  async #ask(): Promise<FileSystem> {
    this.#asking ??= this.#askAnew().finally(() => {
      this.#asking = undefined
    })
    return await this.#asking
  }

  async #askAnew(): Promise<FileSystem> {
    const writtenBefore = this.#written
    const { bavail, blocks, bsize } = await statfs(this.#location)
    this.#fileSystem = { size: blocks * bsize, free: bavail * bsize, askedAt: performance.now(), writtenBefore }
    return this.#fileSystem
  }
}
