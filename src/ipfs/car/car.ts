/**
 * CAR version 1, the format in which blocks are exported, imported and backed up: a header that names the root, then
 * the blocks, each after its length and its CID.
 *
 * - `car.ts` (here): writes a CAR; reads one that must be whole
 * - `car-scan.ts`: reads one that may be damaged, and tells what is whole of it
 * - `car-file.ts`: the bytes of a CAR in a file
 *
 * Imports `src/ipfs/{blocks,blockstore}`. Begin here.
 *
 * @see https://ipld.io/specs/transport/car/carv1/
 */
import { createWriter, headerLength } from '@ipld/car/buffer-writer'
import { readBlockHead, readHeader } from '@ipld/car/decoder'
import * as dagPb from '@ipld/dag-pb'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { maxReadBytes, type Block } from '../blocks/block.ts'
import { DamagedBlockError } from '../errors.ts'
import { hashNames, shown } from '../blocks/block-cid.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

/** Longest header that is read; one root takes far less */
const maxHeaderBytes = 1024

/** Codecs of files and directories */
const codecs = new Set<number>([dagPb.code, raw.code])

/** Where the bytes of a CAR come from; for a stream, @ipld/car makes one */
export type CarSource = Parameters<typeof readHeader>[0]

/** Writes a CAR. The blocks are not compared with their CIDs. */
export async function* encodeCar(root: string, blocks: AsyncIterable<Block>): AsyncGenerator<Uint8Array> {
  const roots = [CID.parse(root)]
  yield createWriter(new ArrayBuffer(headerLength({ roots })), { roots }).close()
  for await (const { cid, bytes } of blocks) {
    const length = cid.bytes.byteLength + bytes.byteLength
    const head = new Uint8Array(varint.encodingLength(length) + cid.bytes.byteLength)
    varint.encodeTo(length, head)
    head.set(cid.bytes, head.byteLength - cid.bytes.byteLength)
    yield head
    yield bytes
  }
}

/**
 * Reads the header of a CAR; to be called before its blocks are read
 *
 * @returns the CID of its root
 * @throws DamagedBlockError where it has no header or not exactly one root
 */
export async function readCarRoot(source: CarSource): Promise<string> {
  const { roots } = await orDamaged(async () => await readHeader(limited(source, maxHeaderBytes), 1))
  if (roots.length !== 1) {
    throw new DamagedBlockError(`it has ${roots.length} roots instead of one`)
  }
  const wrong = whatIsWrong(roots[0]!, 0)
  if (wrong !== undefined) {
    throw new DamagedBlockError(`its root is not valid: ${wrong}`)
  }
  return roots[0]!.toString()
}

/**
 * Reads the blocks of a CAR after its header, each compared with its CID
 *
 * @throws DamagedBlockError where a block does not match its CID, or the CAR ends inside a block
 */
export async function* readCarBlocks(source: CarSource): AsyncGenerator<Block> {
  for await (const { cid, length } of heads(source)) {
    const bytes = await orDamaged(async () => await source.exactly(length, true))
    await verifyBlock(cid, bytes).catch((err: unknown) => {
      throw new DamagedBlockError(`block ${cid.toString()} does not match its CID`, { cause: err })
    })
    yield { cid, bytes }
  }
}

/** @returns why a CAR may not have a block with this CID and length; undefined where it may */
export function whatIsWrong(cid: CID, length: number): string | undefined {
  const name = shown(cid)
  if (!codecs.has(cid.code)) {
    return `${name} has the codec 0x${cid.code.toString(16)}, which is neither dag-pb nor raw`
  }
  if (!hashNames.has(cid.multihash.code)) {
    return `${name} has the hash function 0x${cid.multihash.code.toString(16)}, which is neither SHA-256 nor SHA-512`
  }
  return length < 0 || length > maxReadBytes ? `${name} has ${length} bytes` : undefined
}

/** The CID and length of each block; the caller reads its bytes in between */
async function* heads(source: CarSource): AsyncGenerator<{ cid: CID; length: number }> {
  while ((await source.upTo(1)).byteLength > 0) {
    const { cid, blockLength } = await orDamaged(async () => await readBlockHead(limited(source, maxReadBytes)))
    const wrong = whatIsWrong(cid, blockLength)
    if (wrong !== undefined) {
      throw new DamagedBlockError(`the block at byte ${source.pos} is not valid: ${wrong}`)
    }
    yield { cid, length: blockLength }
  }
}

/** A source that refuses a length that only damage can explain, before memory is allocated for it */
function limited(source: CarSource, maxBytes: number): CarSource {
  return {
    upTo: async length => await source.upTo(length),
    exactly: async (length, seek) => {
      if (length > maxBytes) {
        throw new RangeError(`a length of ${length} bytes`)
      }
      return await source.exactly(length, seek)
    },
    seek: length => {
      source.seek(length)
    },
    get pos() {
      return source.pos
    },
  }
}

/** Errors of the CAR's bytes become DamagedBlockError; those of the disk, the network or the caller stay as they are */
async function orDamaged<T>(reading: () => Promise<T>): Promise<T> {
  try {
    return await reading()
  } catch (err) {
    if ((err as { code?: unknown }).code !== undefined || ['AbortError', 'OciError'].includes((err as Error).name)) {
      throw err
    }
    throw new DamagedBlockError(`it is damaged or cut short: ${(err as Error).message}`, { cause: err })
  }
}
