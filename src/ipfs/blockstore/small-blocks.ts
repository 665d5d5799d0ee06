import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MultihashDigest } from 'multiformats/cid'
import { multihashOf, shardsOf } from './block-files.ts'

export interface SmallBlock {
  multihash: MultihashDigest
  bytes: Uint8Array
}

/** Whether a blockstore has no block, or is not there at all */
export async function isWithoutBlocks(path: string): Promise<boolean> {
  try {
    for (const directory of await shardsOf(path)) {
      if ((await readdir(join(path, directory))).some(file => multihashOf(file) !== undefined)) {
        return false
      }
    }
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw err
    }
  }
  return true
}

/**
 * The blocks of a blockstore that have at most so many bytes, as they lie on disk
 *
 * @param onDirectory is told how many blocks, large ones too, were looked at
 */
export async function* smallBlocks(
  path: string,
  maxBytes: number,
  { signal, onDirectory }: { signal: AbortSignal; onDirectory: (blocks: number) => void },
): AsyncGenerator<SmallBlock> {
  for (const directory of await shardsOf(path)) {
    const files = await readdir(join(path, directory))
    for (const file of files) {
      signal.throwIfAborted()
      const multihash = multihashOf(file)
      const block = join(path, directory, file)
      if (multihash === undefined) {
        continue
      }
      // it may have gone meanwhile
      const { size = Infinity } = await stat(block).catch(() => ({}) as { size?: number })
      if (size <= maxBytes) {
        yield { multihash, bytes: await readFile(block, { signal }) }
      }
    }
    onDirectory(files.length)
  }
}
