/** Reading the file of a block in one piece, on the thread that asks for it */
import { open, stat, type FileHandle } from 'node:fs/promises'
import type { CID } from 'multiformats/cid'
import { blockNotFound } from '../blocks/block.ts'
import { DamagedBlockError } from '../errors.ts'

export interface ReadFileInit {
  /** Where the file is read to, if it fits */
  into?: Uint8Array | undefined
  /** @default any size */
  maxBytes?: number
}

/**
 * Reads the file of a block, without comparing it with the CID
 *
 * @returns its bytes, and when it was last written: milliseconds since 1970
 * @throws NotFoundError; DamagedBlockError where the disk reports a read error or the file is longer than `maxBytes`
 */
export async function readBlockFile(
  cid: CID,
  path: string,
  { into, maxBytes = Infinity }: ReadFileInit,
): Promise<{ bytes: Uint8Array; modified: number }> {
  try {
    await using file = await open(path)
    const { size, mtimeMs: modified } = await file.stat()
    if (size > maxBytes) {
      throw new DamagedBlockError(`block ${cid.toString()} has ${size} bytes, which is more than any block`)
    }
    const buffer = into !== undefined && size <= into.byteLength ? into.subarray(0, size) : Buffer.allocUnsafeSlow(size)
    return { bytes: await fill(buffer, file, 0), modified }
  } catch (err) {
    throw readFailure(cid, err)
  }
}

/** Says of an error of the file system what it means for the block */
export function readFailure(cid: CID, err: unknown): unknown {
  switch ((err as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return blockNotFound(cid)
    case 'EIO':
      return new DamagedBlockError(`block ${cid.toString()} can't be read`, { cause: err })
    default:
      return err
  }
}

/**
 * Reads until the buffer is full or the file ends: one call of the system may return less than was asked for
 *
 * @param position where in the file to begin
 * @returns the part of the buffer that was filled
 */
export async function fill(buffer: Uint8Array, file: FileHandle, position: number): Promise<Uint8Array> {
  let filled = 0
  for (let bytesRead = -1; filled < buffer.byteLength && bytesRead !== 0; filled += bytesRead) {
    bytesRead = (await file.read(buffer, filled, buffer.byteLength - filled, position + filled)).bytesRead
  }
  return buffer.subarray(0, filled)
}

/** Bytes of a file; 0 where it can't be asked for, as when it has just been deleted */
export async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
