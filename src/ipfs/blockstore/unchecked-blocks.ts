import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { maxReadBytes } from '../blocks/block.ts'
import type { StoreOptions } from '../content-store.ts'
import { blockDirectories, blockPath, multihashOf } from './layout.ts'
import { readBlockFile } from './read-file.ts'

/** Lists and reads blocks as they lie on disk, damaged ones included: for fsck, which does the comparing itself */
export class UncheckedBlocks {
  readonly #location: string

  /** @param location of the blockstore */
  constructor(location: string) {
    this.#location = location
  }

  /** The file of a block, whether it exists or not */
  path(cid: CID): string {
    return blockPath(this.#location, cid)
  }

  /**
   * @param into where the block is read to, if it fits
   * @throws NotFoundError; DamagedBlockError where the disk can't read the file, or it is far too long for a block
   */
  async read(cid: CID, into?: Uint8Array): Promise<Uint8Array> {
    return (await readBlockFile(cid, this.path(cid), { into, maxBytes: maxReadBytes })).bytes
  }

  /** The CIDs of all blocks, in no order. A file name does not tell the codec: all are given the codec of a leaf. */
  async *list({ signal }: StoreOptions = {}): AsyncGenerator<CID> {
    for (const directory of await blockDirectories(this.#location)) {
      for (const file of await readdir(join(this.#location, directory))) {
        signal?.throwIfAborted()
        const multihash = multihashOf(file)
        if (multihash !== undefined) {
          yield CID.createV1(raw.code, multihash)
        }
      }
    }
  }
}
