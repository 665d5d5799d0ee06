import { CID } from 'multiformats/cid'
import { blockKey, BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { Content } from '../../ipfs/content-store.ts'

/** About what the directories of an image root take, in bytes */
const rootSize = 2048

/** Adds up about how many bytes a backup has, from what the index knows: nothing is read for it */
export class BackupSize {
  /** Bytes so far */
  total = 0
  readonly #counted = new BlockSet()
  readonly #without: BlockSet

  /** @param without blocks that the backup leaves out, as an earlier one has them */
  constructor(without: BlockSet) {
    this.#without = without
  }

  /** Content of several repositories is in the backup once */
  addContent({ cid, dagSize }: Pick<Content, 'cid' | 'dagSize'>): void {
    const key = blockKey(CID.parse(cid).multihash.digest)
    if (!this.#without.has(key) && this.#counted.add(key)) {
      this.total += dagSize
    }
  }

  addRoot(cid: string): void {
    this.addContent({ cid, dagSize: rootSize })
  }
}
