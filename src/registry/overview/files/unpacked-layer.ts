import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, createZstdDecompress } from 'node:zlib'
import { OciError } from '../../../oci/errors.ts'
import { ListingRefused, type ListingBounds } from './listing-bounds.ts'
import { zstdFrames } from './zstd-frames.ts'

const gzipMagic = Buffer.from([0x1f, 0x8b])
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const magicLength = 4
/** Binary logarithm of the memory that a decompressor takes; a layer that needs more counts as malformed */
const maxWindowLog = 25

/**
 * The archive that a layer is, compressed by gzip, zstd or nothing: its bytes say which, whatever its media type is
 *
 * @param bytes each piece of which may be overwritten once the next one is asked for
 * @throws ListingRefused, also with `malformed`; what `bytes` throws
 */
export async function* unpackedLayer(
  bytes: AsyncIterable<Uint8Array>,
  bounds: ListingBounds,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { all, first } = await withFirst(copied(bytes))
  const unpacked = first.subarray(0, gzipMagic.length).equals(gzipMagic)
    ? through(all, createGunzip(), signal)
    : first.equals(zstdMagic)
      ? through(
          zstdFrames(all),
          createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: maxWindowLog } }),
          signal,
        )
      : all
  for await (const chunk of unpacked) {
    signal.throwIfAborted()
    bounds.takeUnpacked(chunk.byteLength)
    yield chunk
  }
}

/** Streams keep several pieces */
async function* copied(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    yield Uint8Array.from(chunk)
  }
}

/** The first bytes, and all of them */
async function withFirst(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ first: Buffer; all: AsyncGenerator<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]()
  const read: Uint8Array[] = []
  let length = 0
  while (length < magicLength) {
    const next = await iterator.next()
    if (next.done === true) {
      break
    }
    read.push(next.value)
    length += next.value.byteLength
  }
  const all = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* read
      yield* { [Symbol.asyncIterator]: () => iterator }
    } finally {
      await iterator.return?.()
    }
  }
  return { first: Buffer.concat(read).subarray(0, magicLength), all: all() }
}

async function* through(
  bytes: AsyncIterable<Uint8Array>,
  unpacked: ReturnType<typeof createGunzip>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  // a failure of the pipeline also reaches the reader of `unpacked`
  const packed = pipeline(Readable.from(bytes), unpacked, { signal }).catch(() => {})
  try {
    yield* unpacked
  } catch (err) {
    signal.throwIfAborted()
    throw err instanceof OciError ? err : new ListingRefused('malformed', { cause: err })
  } finally {
    unpacked.destroy()
    await packed
  }
}
