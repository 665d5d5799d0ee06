import { open, stat, type FileHandle } from 'node:fs/promises'
import * as dagPb from '@ipld/dag-pb'
import { NotFoundError } from 'interface-store'
import type { CID } from 'multiformats/cid'
import { blockKey, BlockSet, keyBytes } from '../../ipfs/blocks/block-set.ts'
import { CarFile } from '../../ipfs/car/car-file.ts'
import { scanCar, type CarDamage, type CarScanOptions, type ScannedBlock } from '../../ipfs/car/car-scan.ts'
import type { Block } from '../../ipfs/blocks/block.ts'
import { ClientError } from '../../remote/errors.ts'

/** Where the bytes of a block are */
interface Place {
  path: string
  offset: number
  length: number
}

export interface ScannedFile {
  /** As its header says; undefined if the header is damaged */
  root: string | undefined
  bytes: number
  blocks: number
  /** Number of damaged parts */
  damaged: number
  /** What is wrong with the first damaged part */
  damage: string | undefined
}

/**
 * Which undamaged blocks the files of backups have. Takes 16 bytes of memory for each block, and remembers where in the
 * files those with links are, so that they can be read again.
 */
export class BackupBlocks implements AsyncDisposable {
  readonly keys = new BlockSet()
  /** Of blocks with links, by the first bytes of their digests */
  readonly #places = new Map<string, Place>()
  readonly #handles = new Map<string, FileHandle>()

  /**
   * Reads a file and adds its undamaged blocks
   *
   * @throws ClientError if the file can't be read
   */
  async add(path: string, options: CarScanOptions): Promise<ScannedFile> {
    const found: ScannedFile = { root: undefined, bytes: 0, blocks: 0, damaged: 0, damage: undefined }
    const parts = scanFile(path, options)
    let next = await parts.next()
    for (; next.done !== true; next = await parts.next()) {
      const part = next.value
      if ('damage' in part) {
        found.damaged++
        found.damage ??= `${part.damage} (byte ${part.offset})`
      } else {
        found.blocks++
        this.#add(path, part)
      }
    }
    return { ...found, ...next.value }
  }

  async has(cid: CID): Promise<boolean> {
    return this.keys.has(blockKey(cid.multihash.digest))
  }

  /**
   * The bytes of a block with links, as they are in the file now
   *
   * @throws NotFoundError
   */
  async read(cid: CID): Promise<Uint8Array> {
    const place = this.#places.get(nameOf(cid))
    if (place === undefined) {
      throw new NotFoundError(`No block ${cid.toString()}`)
    }
    const handle = this.#handles.get(place.path) ?? (await open(place.path))
    this.#handles.set(place.path, handle)
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(place.length), 0, place.length, place.offset)
    return buffer.subarray(0, bytesRead)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      Array.from(this.#handles.values(), async handle => {
        await handle.close()
      }),
    )
  }

  #add(path: string, { cid, offset, length }: ScannedBlock): void {
    this.keys.add(blockKey(cid.multihash.digest))
    if (cid.code === dagPb.code) {
      this.#places.set(nameOf(cid), { path, offset, length })
    }
  }
}

/**
 * The undamaged blocks of files, each once, after they were compared with their CIDs
 *
 * @throws ClientError if a file can't be read
 */
export async function* wholeBlocks(
  paths: readonly string[],
  onDamage: (path: string, damage: CarDamage) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Block> {
  const seen = new BlockSet()
  for (const path of paths) {
    for await (const part of scanFile(path, { signal })) {
      if ('damage' in part) {
        onDamage(path, part)
      } else if (part.bytes !== undefined && seen.add(blockKey(part.cid.multihash.digest))) {
        yield { cid: part.cid, bytes: part.bytes }
      }
    }
  }
}

/**
 * Yields the blocks and damaged parts of a file; one that the disk can't read counts as damaged as a whole
 *
 * @throws ClientError if the file can't be read for another reason
 */
async function* scanFile(
  path: string,
  options: CarScanOptions,
): AsyncGenerator<ScannedBlock | CarDamage, { root: string | undefined; bytes: number }> {
  try {
    const { size: bytes } = await stat(path)
    await using file = await CarFile.open(path)
    return { root: yield* scanCar(file, options), bytes }
  } catch (err) {
    const { code, name, syscall } = err as NodeJS.ErrnoException
    if (code === 'EIO') {
      yield { damage: "the disk can't read it", offset: 0 }
      return { root: undefined, bytes: 0 }
    }
    throw syscall === undefined || name === 'AbortError'
      ? err
      : new ClientError(`backup ${path} can't be read: ${code}`, { cause: err })
  }
}

function nameOf(cid: CID): string {
  return Buffer.from(cid.multihash.digest.subarray(0, keyBytes)).toString('latin1')
}
