import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { temporaryDirectory, type BlockPlace } from './layout.ts'
import { syncDirectory } from './sync-directory.ts'
import { UnsyncedDirectories } from './unsynced-directories.ts'

/**
 * Bytes of one write. For larger ones the kernel takes large pages, which on a virtual machine whose host takes back
 * free memory have to be backed anew: up to three times the processor time for each MiB. Smaller ones gain nothing, and
 * each waits for a thread of the pool.
 */
const pieceBytes = 512 * 1024

export interface BlockWriterInit {
  /**
   * Whether blocks are synced to disk
   *
   * @default true
   */
  fsync?: boolean | undefined
}

/**
 * Writes blocks so that a power failure leaves none half written: each is written to a temporary file, synced, and
 * renamed into its place.
 *
 * The rename itself is on disk only after the directory was synced too. {@link sync} does that for all directories that
 * changed, so that the many blocks of a blob share one call.
 */
export class BlockWriter {
  readonly #location: string
  readonly #fsync: boolean
  readonly #temporary: string
  /** Directories that this process has made or found */
  readonly #made = new Set<string>()
  readonly #unsynced: UnsyncedDirectories
  /**
   * Directories from which blocks were deleted. They are synced only at the close: a deleted block that a power failure
   * brings back is merely garbage, but after a clean close it would be missing from the saved total of bytes.
   */
  readonly #deletedFrom = new Set<string>()
  #writes = 0

  /** @param location of the blockstore */
  constructor(location: string, { fsync = true }: BlockWriterInit = {}) {
    this.#location = location
    this.#fsync = fsync
    this.#temporary = join(location, temporaryDirectory)
    this.#unsynced = new UnsyncedDirectories({ fsync })
  }

  /** Deletes what an earlier process had not finished writing */
  async open(): Promise<void> {
    await rm(this.#temporary, { recursive: true, force: true })
    await mkdir(this.#temporary)
  }

  /** Resolves when the blockstore's own directory is on disk */
  async syncLocation(): Promise<void> {
    if (this.#fsync) {
      await syncDirectory(this.#location)
      await syncDirectory(dirname(this.#location))
    }
  }

  async close(): Promise<void> {
    this.#deletedFrom.forEach(directory => this.#unsynced.add(directory))
    await this.sync()
  }

  /** @returns when the file was written: milliseconds since 1970 */
  async write({ directory, file }: BlockPlace, bytes: Uint8Array): Promise<number> {
    await this.#makeDirectory(join(this.#location, directory))
    const temporary = join(this.#temporary, `${this.#writes++}`)
    try {
      const modified = await this.#writeFile(temporary, bytes)
      await rename(temporary, join(this.#location, directory, file))
      return modified
    } catch (err) {
      await rm(temporary, { force: true })
      throw err
    }
  }

  /** Notes that the next {@link sync} must cover a directory */
  changed(directory: string): void {
    this.#unsynced.add(join(this.#location, directory))
  }

  /** Notes that a block was deleted from a directory */
  deletedFrom(directory: string): void {
    this.#deletedFrom.add(join(this.#location, directory))
  }

  /** Resolves when every block that was in its place before the call is there after a power failure, too */
  async sync(): Promise<void> {
    await this.#unsynced.sync()
  }

  async #makeDirectory(path: string): Promise<void> {
    if (!this.#made.has(path)) {
      await mkdir(path, { recursive: true })
      this.#unsynced.add(this.#location)
      this.#made.add(path)
    }
  }

  async #writeFile(path: string, bytes: Uint8Array): Promise<number> {
    await using handle = await open(path, 'wx')
    for (let written = 0; written < bytes.byteLength; ) {
      const piece = Math.min(bytes.byteLength - written, pieceBytes)
      written += (await handle.write(bytes, written, piece)).bytesWritten
    }
    if (this.#fsync) {
      await handle.datasync()
    }
    return (await handle.stat()).mtimeMs
  }
}
