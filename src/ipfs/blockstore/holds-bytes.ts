import { open } from 'node:fs/promises'

/** Compared at a time, so that many comparisons at once need little memory */
const pieceSize = 256 * 1024

/**
 * Whether a file holds exactly these bytes. Comparing them costs less than a hash, and they are in memory anyway.
 *
 * @returns undefined where there is no such file
 */
export async function holdsBytes(path: string, bytes: Uint8Array): Promise<boolean | undefined> {
  try {
    await using file = await open(path)
    if ((await file.stat()).size !== bytes.byteLength) {
      return false
    }
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceSize, bytes.byteLength))
    for (let position = 0; position < bytes.byteLength; ) {
      const { bytesRead } = await file.read(piece, 0, piece.byteLength, position)
      if (bytesRead === 0 || piece.compare(bytes, position, position + bytesRead, 0, bytesRead) !== 0) {
        return false
      }
      position += bytesRead
    }
    return true
  } catch (err) {
    switch ((err as NodeJS.ErrnoException).code) {
      case 'ENOENT':
        return undefined
      case 'EIO':
        return false
      default:
        throw err
    }
  }
}
