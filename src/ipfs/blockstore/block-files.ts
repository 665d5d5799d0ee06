import { open, opendir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NextToLast } from 'blockstore-fs/sharding'
import { base32upper } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { decode } from 'multiformats/hashes/digest'
import { NotFoundError } from 'interface-store'
import type { StoreOptions } from '../content-store.ts'
import { DamagedBlockError } from '../errors.ts'

/** As large as a message between peers, so that no block is larger */
const maxBytes = 4 * 1024 * 1024

/** The files of a blockstore as they lie on disk, whatever is in them */
export class BlockFiles {
  readonly #path: string
  readonly #sharding = new NextToLast()

  /** @param path of the blockstore */
  constructor(path: string) {
    this.#path = path
  }

  path(cid: CID): string {
    const { dir, file } = this.#sharding.encode(cid)
    return join(this.#path, dir, file)
  }

  /**
   * Reads a file. What it holds is compared with nothing.
   *
   * @param into where it is read to, if it fits in
   * @throws NotFoundError, or DamagedBlockError where the disk can't read it or no block is as large
   */
  async read(cid: CID, into?: Uint8Array): Promise<Uint8Array> {
    try {
      await using file = await open(this.path(cid))
      const { size } = await file.stat()
      if (size > maxBytes) {
        throw new DamagedBlockError(`${cid.toString()} has ${size} bytes`)
      }
      const bytes = into !== undefined && size <= into.byteLength ? into : Buffer.allocUnsafeSlow(size)
      let filled = 0
      for (let read = -1; filled < size && read !== 0; filled += read) {
        read = (await file.read(bytes, filled, size - filled, filled)).bytesRead
      }
      return bytes.subarray(0, filled)
    } catch (err) {
      const { code } = err as NodeJS.ErrnoException
      if (code === 'ENOENT') {
        throw new NotFoundError(`No block ${cid.toString()}`)
      }
      throw code === 'EIO' ? new DamagedBlockError(`${cid.toString()} can't be read`, { cause: err }) : err
    }
  }

  /** The CIDs of all blocks, in no order. Files do not say what codec a block has: each is named as a leaf is. */
  async *list({ signal }: StoreOptions = {}): AsyncGenerator<CID> {
    for (const shard of await shardsOf(this.#path)) {
      for (const file of await readdir(join(this.#path, shard))) {
        signal?.throwIfAborted()
        const multihash = multihashOf(file)
        if (multihash !== undefined) {
          yield CID.createV1(raw.code, multihash)
        }
      }
    }
  }
}

/** The directories of a blockstore that blocks lie in */
export async function shardsOf(path: string): Promise<string[]> {
  const found: string[] = []
  for await (const entry of await opendir(path)) {
    if (entry.isDirectory() && entry.name !== 'tmp') {
      found.push(entry.name)
    }
  }
  return found
}

/** @returns undefined where the file is no block of ours */
export function multihashOf(file: string): ReturnType<typeof decode> | undefined {
  const name = /^(.+)\.data$/.exec(file)?.[1]
  try {
    return name === undefined ? undefined : decode(base32upper.decode(name))
  } catch {
    return undefined
  }
}
