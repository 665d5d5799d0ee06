import type { CID } from 'multiformats/cid'
import { blockKey } from '../blocks/block-set.ts'
import { matchesCid } from '../blocks/verify-block.ts'
import { DamagedBlockError } from '../errors.ts'
import { readBlockFile, readFailure } from './read-file.ts'
import type { ReadBlock, ReadWorkers } from './read-workers.ts'
import { VerifiedBlocks } from './verified-blocks.ts'

const hour = 3_600_000

export interface CheckingReaderInit {
  /** @default reads on the thread of its caller */
  readers?: Pick<ReadWorkers, 'read'> | undefined
  /**
   * How long a block that matched its CID is not compared again, unless its file is written meanwhile; milliseconds
   *
   * @default an hour
   */
  verifiedFor?: number | undefined
  /** Called with each block that is found to be damaged, each time */
  onDamaged?: ((cid: CID) => void) | undefined
}

/** Reads the files of blocks, and never returns bytes that do not match the CID */
export class CheckingReader {
  readonly #readers: CheckingReaderInit['readers']
  readonly #verified: VerifiedBlocks
  readonly #onDamaged: (cid: CID) => void

  constructor({ readers, verifiedFor = hour, onDamaged = () => {} }: CheckingReaderInit = {}) {
    this.#readers = readers
    this.#verified = new VerifiedBlocks({ period: verifiedFor })
    this.#onDamaged = onDamaged
  }

  /**
   * @param into where the block is read to, if it fits; shared memory is filled by another thread
   * @throws NotFoundError, DamagedBlockError
   */
  async read(cid: CID, path: string, into?: Uint8Array): Promise<Uint8Array> {
    const key = blockKey(cid.multihash.digest)
    const known = this.#verified.modified(key)
    try {
      const { bytes, modified, digest } = await this.#read(cid, path, into, known)
      if (modified !== known) {
        if (!matchesCid(cid, bytes, digest)) {
          throw new DamagedBlockError(`block ${cid.toString()} is damaged: its bytes do not match its CID`)
        }
        this.#verified.note(key, modified)
      }
      return bytes
    } catch (err) {
      if (err instanceof DamagedBlockError) {
        this.#onDamaged(cid)
      }
      throw err
    }
  }

  /** Notes that a block matched its CID when its file was written */
  wrote(cid: CID, modified: number): void {
    this.#verified.note(blockKey(cid.multihash.digest), modified)
  }

  async #read(
    cid: CID,
    path: string,
    into: Uint8Array | undefined,
    known: number | undefined,
  ): Promise<Omit<ReadBlock, 'size'> & { bytes: Uint8Array }> {
    if (this.#readers !== undefined && into !== undefined && isShared(into)) {
      const read = await this.#readers.read(path, into, known).catch((err: unknown) => {
        throw readFailure(cid, err)
      })
      if (read !== undefined && read.size <= into.byteLength) {
        return { bytes: into.subarray(0, read.size), ...read }
      }
    }
    return { ...(await readBlockFile(cid, path, { into })), digest: undefined }
  }
}

function isShared(bytes: Uint8Array): bytes is Uint8Array<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer
}
