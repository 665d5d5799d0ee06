import { varint } from 'multiformats'
import { equals } from 'multiformats/bytes'
import { CID } from 'multiformats/cid'
import { maxReadBytes } from '../blocks/block.ts'
import { readCarRoot, whatIsWrong, type CarSource } from './car.ts'
import { verifyBlock } from '../blocks/verify-block.ts'

/** More than any valid CID takes */
const maxCidBytes = 128
/** The longest number in the format */
const maxVarintBytes = 9

/** A block that matches its CID, or in a quick scan one that is in the file */
export interface ScannedBlock {
  cid: CID
  /** Undefined in a quick scan */
  bytes: Uint8Array | undefined
  /** The byte of the CAR at which its bytes begin */
  offset: number
  length: number
}

/** A part of a CAR that is not a block, or a block that does not match its CID */
export interface CarDamage {
  damage: string
  /** The byte of the CAR at which the part begins */
  offset: number
}

export interface CarScanOptions {
  /** Only finds out which blocks the CAR has and where, without comparing them with their CIDs */
  quick?: boolean | undefined
  signal?: AbortSignal | undefined
}

/**
 * Reads a CAR that may be damaged, and yields what is whole of it and where it is damaged. After a block that does not
 * match its CID the scan goes on with the next one; where the length of a part is damaged, the rest is lost.
 *
 * @returns the root from the header; undefined where the header is damaged
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
    yield { damage: `its header: ${(err as Error).message}`, offset: 0 }
    source.seek(head.end - source.pos)
  }
  while ((await source.upTo(1)).byteLength > 0) {
    signal?.throwIfAborted()
    const offset = source.pos
    const section = await lengthAt(source)
    const block = section === undefined ? undefined : await readSection(source, section, quick)
    if (section === undefined || block === undefined) {
      yield { damage: "it is cut short, or its rest can't be divided into blocks", offset }
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

/** Where the content of the part lies that begins here; undefined where its length is damaged */
async function lengthAt(source: CarSource): Promise<Section | undefined> {
  const number = await source.upTo(maxVarintBytes)
  try {
    const [length, bytes] = varint.decode(number)
    const start = source.pos + bytes
    return length === 0 || length > maxReadBytes + maxCidBytes ? undefined : { start, end: start + length }
  } catch {
    // the bytes are not even a number
    return undefined
  }
}

/** @returns undefined where the CAR ends before the section does */
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
  // the library reads a CID that says version 0 as another CID
  if (!equals(cid.bytes, bytes.subarray(0, cid.bytes.byteLength))) {
    return { damage: `the CID ${cid.toString()} is encoded in an unusual way` }
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
    return `block ${cid.toString()} does not match its CID`
  }
}
