/**
 * Files and streams of blocks, CAR version 1: a header that names the root, then the blocks, each behind its length and its CID.
 *
 * @see https://ipld.io/specs/transport/car/carv1/
 */
import { createWriter, headerLength } from '@ipld/car/buffer-writer'
import { readBlockHead, readHeader } from '@ipld/car/decoder'
import * as dagPb from '@ipld/dag-pb'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { maxReadBytes, type Block } from '../blocks/block.ts'
import { DamagedBlockError } from '../errors.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

/** Far more than one root takes */
const maxHeaderBytes = 1024

/** Beyond this a CID is cut in messages */
const maxShownCid = 100

/** Of what lies below a directory */
const codecs = new Set<number>([dagPb.code, raw.code])
const hashes = new Set<number>([sha256.code, sha512.code])

/** Where the bytes of a CAR come from; @ipld/car has one over a stream */
export type CarSource = Parameters<typeof readHeader>[0]

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
 * The one root that a CAR has; to be called before its blocks are read
 *
 * @throws DamagedBlockError
 */
export async function readCarRoot(source: CarSource): Promise<string> {
  const { roots } = await orDamaged(async () => await readHeader(limited(source, maxHeaderBytes), 1))
  if (roots.length !== 1) {
    throw new DamagedBlockError(`it has ${roots.length} roots instead of one`)
  }
  const wrong = whatIsWrong(roots[0]!, 0)
  if (wrong !== undefined) {
    throw new DamagedBlockError(`its root is none: ${wrong}`)
  }
  return roots[0]!.toString()
}

/**
 * Reads the blocks of a CAR behind its header, each compared with its CID
 *
 * @throws DamagedBlockError where one is not what its CID says, or the CAR ends in the middle
 */
export async function* readCarBlocks(source: CarSource): AsyncGenerator<Block> {
  for await (const { cid, length } of heads(source)) {
    const bytes = await orDamaged(async () => await source.exactly(length, true))
    await verifyBlock(cid, bytes).catch((err: unknown) => {
      throw new DamagedBlockError(`what it has as ${cid.toString()} is another block`, { cause: err })
    })
    yield { cid, bytes }
  }
}

/** @returns what is wrong with a block of this CID and length in a CAR; undefined where nothing is */
export function whatIsWrong(cid: CID, length: number): string | undefined {
  const name = cid.toString().slice(0, maxShownCid)
  if (!codecs.has(cid.code)) {
    return `${name} has the codec 0x${cid.code.toString(16)}, which no file or directory has`
  }
  if (!hashes.has(cid.multihash.code)) {
    return `${name} has the hash function 0x${cid.multihash.code.toString(16)}, which no block here has`
  }
  return length < 0 || length > maxReadBytes ? `${name} has ${length} bytes` : undefined
}

async function* heads(source: CarSource): AsyncGenerator<{ cid: CID; length: number }> {
  while ((await source.upTo(1)).byteLength > 0) {
    const { cid, blockLength } = await orDamaged(async () => await readBlockHead(limited(source, maxReadBytes)))
    const wrong = whatIsWrong(cid, blockLength)
    if (wrong !== undefined) {
      throw new DamagedBlockError(`the block at byte ${source.pos} is none: ${wrong}`)
    }
    yield { cid, length: blockLength }
  }
}

function limited(source: CarSource, maxBytes: number): CarSource {
  return {
    upTo: async length => await source.upTo(length),
    exactly: async (length, seek) => {
      if (length > maxBytes) {
        throw new RangeError(`${length} bytes are too many`)
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
