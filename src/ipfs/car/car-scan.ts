import { varint } from 'multiformats'
import { equals } from 'multiformats/bytes'
import { CID } from 'multiformats/cid'
import { maxReadBytes } from '../blocks/block.ts'
import { readCarRoot, whatIsWrong, type CarSource } from './car.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

/** Of a CID and more: two numbers, and a multihash with its own two */
const maxCidBytes = 128
const maxVarintBytes = 9

/** A block that is whole, or at least has its place */
export interface ScannedBlock {
  cid: CID
  /** Undefined where blocks are only looked for */
  bytes: Uint8Array | undefined
  /** Where its bytes begin */
  offset: number
  length: number
}

/** A part of a CAR that is no block, or not the one that it says */
export interface CarDamage {
  damage: string
  /** Where the part begins */
  offset: number
}

export interface CarScanOptions {
  /** Only looks where the blocks are, and compares none with its CID */
  quick?: boolean | undefined
  signal?: AbortSignal | undefined
}

/**
 * Reads a CAR that may be damaged: what is whole of it, and where it is not. A block with other bytes than its CID says costs that block
 * alone; where it can't be told how long a part is, the rest is lost.
 *
 * @returns the root in the header; undefined where that is damaged
 */
export async function* scanCar(
  source: CarSource,
  { quick = false, signal }: CarScanOptions,
): AsyncGenerator<ScannedBlock | CarDamage, string | undefined> {
  const head = await lengthAt(source)
  if (head === undefined) {
    yield { damage: 'it has no header', offset: 0 }
    return undefined
  }
  let root: string | undefined
  try {
    root = await readCarRoot(source)
  } catch (err) {
    if ((err as Error).name !== 'DamagedBlockError') {
      throw err
    }
    yield { damage: `the header: ${(err as Error).message}`, offset: 0 }
    source.seek(head.end - source.pos)
  }
  while ((await source.upTo(1)).byteLength > 0) {
    signal?.throwIfAborted()
    const offset = source.pos
    const section = await lengthAt(source)
    const block = section === undefined ? undefined : await readSection(source, section, quick)
    if (section === undefined || block === undefined) {
      yield { damage: "it is cut short, or what follows can't be told apart", offset }
      return root
    }
    yield 'damage' in block ? { ...block, offset } : block
    source.seek(section.end - source.pos)
  }
  return root
}

interface Section {
  start: number
  end: number
}

/** Where the part that begins here has its content; undefined where nothing says so */
async function lengthAt(source: CarSource): Promise<Section | undefined> {
  const number = await source.upTo(maxVarintBytes)
  try {
    const [length, bytes] = varint.decode(number)
    const start = source.pos + bytes
    return length === 0 || length > maxReadBytes + maxCidBytes ? undefined : { start, end: start + length }
  } catch {
    // not even a number
    return undefined
  }
}

/** @returns undefined where the CAR ends before its end */
async function readSection(
  source: CarSource,
  { start, end }: Section,
  quick: boolean,
): Promise<ScannedBlock | { damage: string } | undefined> {
  source.seek(start - source.pos)
  const bytes = await source.upTo(quick ? Math.min(end - start, maxCidBytes) : end - start)
  if (quick) {
    source.seek(end - 1 - source.pos)
    if ((await source.upTo(1)).byteLength === 0) {
      return undefined
    }
  } else if (bytes.byteLength < end - start) {
    return undefined
  }
  let cid: CID
  let rest: Uint8Array
  try {
    ;[cid, rest] = CID.decodeFirst(bytes)
  } catch {
    return { damage: 'a block has no CID' }
  }
  // of one with a version that is 0 the library makes another
  if (!equals(cid.bytes, bytes.subarray(0, cid.bytes.byteLength))) {
    return { damage: `the CID ${cid.toString()} is written in another way` }
  }
  const offset = start + bytes.byteLength - rest.byteLength
  const damage = whatIsWrong(cid, end - offset) ?? (quick ? undefined : await otherBytes(cid, rest))
  return damage === undefined ? { cid, bytes: quick ? undefined : rest, offset, length: end - offset } : { damage }
}

async function otherBytes(cid: CID, bytes: Uint8Array): Promise<string | undefined> {
  try {
    await verifyBlock(cid, bytes)
    return undefined
  } catch (err) {
    if ((err as Error).name !== 'DamagedBlockError') {
      throw err
    }
    return `what it has as ${cid.toString()} is another block`
  }
}
