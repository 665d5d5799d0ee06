/**
 * How much room there is for blocks: below `storage.maxBytes`, and above what is to stay free of the file system. A block's room is taken before
 * it is written, in one step with the comparison, so that writers together never take more than there is.
 */
import { statfs } from 'node:fs/promises'
import { BlockUsage } from './block-usage.ts'
import { BlobTooLargeError, StorageFullError } from '../errors.ts'

const mebibyte = 1024 * 1024
const gibibyte = 1024 * mebibyte
const second = 1000
/** What most file systems give a file at least */
const pageSize = 4096

/** Never filled below this, so that the index and deletes still find room: LevelDB does not survive a full disk */
export const leastMinFree = 8 * mebibyte
/** By default so much of the file system stays free, between {@link leastMinFree} and the most */
const minFreeShare = 0.01
const mostMinFree = gibibyte
/** The system is asked anew after so many bytes, or so long */
const freeSpaceBytes = 8 * mebibyte
const freeSpaceAge = second
/** What can be fetched again leaves this part of the storage to pushes */
const pushShare = 0.05
/** A push that finds no room wants this part of the storage, so that not every block of it has to ask */
const wantedShare = 0.1
const mostShare = gibibyte

export interface StorageSpaceInit {
  /** All blocks together take at most so many bytes; undefined: as many as the file system has */
  maxBytes?: number | undefined
  /**
   * So many bytes of the file system stay free; at least 8 MiB
   *
   * @default 1 % of it, 1 GiB at most
   */
  minFree?: number | undefined
}

export interface ReserveOptions {
  /** Whether the block can be fetched again, so that pushes go first */
  evictable?: boolean | undefined
}

/** Room that was taken; what was not written of it is free again once this is disposed of */
export interface Reservation extends Disposable {
  /** @param bytes by which the blocks have grown */
  written: (bytes: number) => void
}

interface FileSystem {
  /** Bytes of all of it */
  size: number
  /** Bytes free when the system was asked */
  free: number
  askedAt: number
  /** {@link StorageSpace.#written} then */
  writtenBefore: number
}

export class StorageSpace {
  /** Bytes of all blocks */
  readonly usage: BlockUsage
  readonly maxBytes: number | undefined
  readonly #path: string
  readonly #minFree: number | undefined
  #fileSystem: FileSystem | undefined
  #asking: Promise<FileSystem> | undefined
  #reserved = 0
  /** Of the file system since the start */
  #written = 0
  /** Writes that found no room since the start */
  refused = 0
  /** Told when there is no room for so many bytes, which the receiver may make */
  onFull: (bytes: number) => void = () => {}
  /** Told of what was written that can be fetched again */
  onEvictable: (bytes: number) => void = () => {}

  /** @param path of the blockstore */
  constructor(path: string, init: StorageSpaceInit = {}) {
    this.#path = path
    this.usage = new BlockUsage(path)
    this.maxBytes = init.maxBytes
    this.#minFree = init.minFree
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

  /** Bytes of the file system that are free, and that are to stay so */
  async free(): Promise<{ free: number; minFree: number }> {
    const fileSystem = await this.#ask()
    return { free: fileSystem.free, minFree: this.#minFreeOf(fileSystem) }
  }

  /**
   * Takes the room for a block
   *
   * @param directory that the block will lie in
   * @throws StorageFullError
   */
  async reserve(directory: string, bytes: number, { evictable = false }: ReserveOptions = {}): Promise<Reservation> {
    // before anything is awaited, so that whoever comes meanwhile sees it
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
          this.onEvictable(grown)
        }
      },
      [Symbol.dispose]: () => {
        this.#reserved -= bytes
        change[Symbol.dispose]()
      },
    }
  }

  /**
   * Looks whether a blob may grow, before it does; takes no room
   *
   * @param size its bytes so far
   * @param more bytes that are to come
   * @throws BlobTooLargeError where no blob may be as large, StorageFullError where there is no room for it now
   */
  async require(size: number, more: number): Promise<void> {
    await this.#ask()
    this.requireFits(size + more)
    await this.#requireRoom(more, 0, more)
  }

  /** @throws BlobTooLargeError where there would be no room for so many bytes even if they were the only ones */
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

  /** A write failed because the system says that there is no room */
  failed(cause: unknown): StorageFullError {
    this.#fileSystem = undefined
    return this.#full({ limit: 'file system', reason: 'the file system is full' }, leastMinFree, cause)
  }

  /**
   * @param more bytes beside those reserved
   * @param share of the storage that must be left beyond them
   * @param wanted in all
   */
  async #requireRoom(more: number, share: number, wanted: number): Promise<void> {
    const { maxBytes } = this
    if (maxBytes !== undefined) {
      const used = this.usage.atLeast
      const left = Math.min(maxBytes * share, mostShare)
      if (used + this.#reserved + more + left > maxBytes) {
        throw this.#full(
          {
            limit: 'storage.maxBytes',
            maxBytes,
            used,
            wanted,
            reason: `blocks may take ${maxBytes} bytes, and take ${used}`,
          },
          maxBytes * wantedShare,
        )
      }
    }
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
      throw this.#full(
        {
          limit: 'storage.minFree',
          minFree,
          free,
          wanted,
          reason: `of the file system ${minFree} bytes stay free, and ${free} are`,
        },
        size * wantedShare,
      )
    }
  }

  #roomIn(fileSystem: FileSystem, share: number): number {
    // what is written just now is in both: rather too little than too much
    return (
      fileSystem.free -
      (this.#written - fileSystem.writtenBefore) -
      this.#reserved -
      this.#minFreeOf(fileSystem) -
      Math.min(fileSystem.size * share, mostShare)
    )
  }

  #minFreeOf({ size }: FileSystem): number {
    return Math.max(leastMinFree, this.#minFree ?? Math.min(mostMinFree, Math.floor(size * minFreeShare)))
  }

  #full(detail: ConstructorParameters<typeof StorageFullError>[0], share: number, cause?: unknown): StorageFullError {
    this.refused++
    this.onFull(Math.max(detail?.wanted ?? 0, Math.min(share, mostShare)))
    return new StorageFullError(detail, { cause })
  }

  /** Calls that come while one runs share it */
  async #ask(): Promise<FileSystem> {
    this.#asking ??= this.#askAnew().finally(() => {
      this.#asking = undefined
    })
    return await this.#asking
  }

  async #askAnew(): Promise<FileSystem> {
    const writtenBefore = this.#written
    const { bavail, blocks, bsize } = await statfs(this.#path)
    this.#fileSystem = { size: blocks * bsize, free: bavail * bsize, askedAt: performance.now(), writtenBefore }
    return this.#fileSystem
  }
}
