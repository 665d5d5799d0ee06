/** Reads the files of blocks, and never passes on what is not the block */
import { hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { NotFoundError } from 'interface-store'
import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { blockKey } from '../blocks/block-set.ts'
import { DamagedBlockError } from '../errors.ts'
import type { ReadBlock, ReadWorkers } from './read-workers.ts'
import { VerifiedBlocks } from './verified-blocks.ts'

const hour = 3_600_000
/** By the code of their multihash */
const algorithms = new Map<number, 'sha256' | 'sha512'>([
  [sha256.code, 'sha256'],
  [sha512.code, 'sha512'],
])

export interface CheckingReaderInit {
  /** @default reads on the thread of its caller */
  readers?: Pick<ReadWorkers, 'read'> | undefined
  /**
   * How long a block that was verified, and whose file has not been written since, is not verified again; milliseconds
   *
   * @default an hour
   */
  verifiedFor?: number | undefined
  /** Is told of each block that is damaged, whenever it is found to be */
  onDamaged?: ((cid: CID) => void) | undefined
}

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
   * @param into where the block is read to, if it fits in; shared memory is filled by another thread
   * @throws NotFoundError, DamagedBlockError
   */
  async read(cid: CID, path: string, into?: Uint8Array): Promise<Uint8Array> {
    const key = blockKey(cid.multihash.digest)
    const known = this.#verified.modified(key)
    const { bytes, modified, digest } = await this.#read(cid, path, into, known)
    if (modified !== known) {
      if (!isBlock(cid, bytes, digest)) {
        throw this.#damaged(cid, 'does not hold what it should')
      }
      this.#verified.note(key, modified)
    }
    return bytes
  }

  /** Notes that a block was right when its file was written */
  wrote(cid: CID, modified: number): void {
    this.#verified.note(blockKey(cid.multihash.digest), modified)
  }

  async #read(
    cid: CID,
    path: string,
    into: Uint8Array | undefined,
    known: number | undefined,
  ): Promise<Omit<ReadBlock, 'size'> & { bytes: Uint8Array }> {
    try {
      if (this.#readers !== undefined && into !== undefined && isShared(into)) {
        const read = await this.#readers.read(path, into, known)
        if (read !== undefined && read.size <= into.byteLength) {
          return { bytes: into.subarray(0, read.size), ...read }
        }
      }
      return { ...(await readFile(path, into)), digest: undefined }
    } catch (err) {
      const { code } = err as NodeJS.ErrnoException
      if (code === 'ENOENT') {
        throw new NotFoundError(`No block ${cid.toString()}`)
      }
      throw code === 'EIO' ? this.#damaged(cid, "can't be read", err) : err
    }
  }

  #damaged(cid: CID, what: string, cause?: unknown): DamagedBlockError {
    this.#onDamaged(cid)
    return new DamagedBlockError(`${cid.toString()} ${what}`, { cause })
  }
}

/** On the thread that calls it */
async function readFile(path: string, into: Uint8Array | undefined): Promise<{ bytes: Uint8Array; modified: number }> {
  await using file = await open(path)
  const { size, mtimeMs: modified } = await file.stat()
  const bytes = into !== undefined && into.byteLength >= size ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size)
  let filled = 0
  for (let read = -1; filled < size && read !== 0; filled += read) {
    read = (await file.read(bytes, filled, size - filled, filled)).bytesRead
  }
  return { bytes: bytes.subarray(0, filled), modified }
}

/** @param digest by SHA-256, where it is known */
function isBlock({ multihash }: CID, bytes: Uint8Array, digest: Uint8Array | undefined): boolean {
  const algorithm = algorithms.get(multihash.code)
  if (algorithm === undefined) {
    // of what nobody here can compare nothing is known to be wrong
    return true
  }
  const actual = algorithm === 'sha256' && digest !== undefined ? digest : hash(algorithm, bytes, 'buffer')
  // a multihash may have a part of the digest only
  return equals(actual.subarray(0, multihash.digest.byteLength), multihash.digest)
}

function isShared(bytes: Uint8Array): bytes is Uint8Array<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer
}
