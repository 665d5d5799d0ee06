import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MultihashDigest } from 'multiformats/cid'
import { blockDirectories, multihashOf } from './layout.ts'

export interface SmallBlock {
  multihash: MultihashDigest
  bytes: Uint8Array
}

/**
 * The blocks of at most `maxBytes` bytes, as they lie on disk: a rebuild of the index looks among them for image roots
 *
 * @param location of the blockstore
 * @param onDirectory called after each directory with the number of blocks in it, larger ones included
 */
export async function* smallBlocks(
  location: string,
  maxBytes: number,
  { signal, onDirectory }: { signal: AbortSignal; onDirectory: (blocks: number) => void },
): AsyncGenerator<SmallBlock> {
  for (const directory of await blockDirectories(location)) {
    const files = await readdir(join(location, directory))
    for (const file of files) {
      signal.throwIfAborted()
      const multihash = multihashOf(file)
      const block = join(location, directory, file)
      if (multihash === undefined) {
        continue
      }
      // the block may have been deleted meanwhile
      const { size = Infinity } = await stat(block).catch(() => ({}) as { size?: number })
      if (size <= maxBytes) {
        yield { multihash, bytes: await readFile(block, { signal }) }
      }
    }
    onDirectory(files.length)
  }
}
