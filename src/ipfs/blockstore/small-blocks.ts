import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MultihashDigest } from 'multiformats/cid'
import { blockDirectories, multihashOf } from './layout.ts'
import { fill } from './read-file.ts'

/** So that the disk need not wait for us; whoever reads what these lead to has as much in memory at a time */
const readAtOnce = 8

export interface SmallBlock {
  multihash: MultihashDigest
  bytes: Uint8Array
}

/**
 * The blocks of at most `maxBytes` bytes, as they lie on disk: a rebuild of the index looks among them for image roots.
 * Where the disk can't read one, it has no bytes. They come some at a time, always in the same order.
 *
 * @param location of the blockstore
 * @param onDirectory called after each directory with the number of blocks in it, larger ones included, and the share
 *   of the directories that are done: 1 after the last
 */
export async function* smallBlocks(
  location: string,
  maxBytes: number,
  { signal, onDirectory }: { signal: AbortSignal; onDirectory: (blocks: number, share: number) => void },
): AsyncGenerator<SmallBlock[]> {
  const directories = await blockDirectories(location)
  for (const [done, directory] of directories.entries()) {
    const files = await readdir(join(location, directory))
    for (let i = 0; i < files.length; i += readAtOnce) {
      signal.throwIfAborted()
      const some = files.slice(i, i + readAtOnce)
      const blocks = await Promise.all(
        some.map(async file => await smallBlock(join(location, directory), file, maxBytes)),
      )
      yield blocks.filter(block => block !== undefined)
    }
    onDirectory(files.length, (done + 1) / directories.length)
  }
}

async function smallBlock(directory: string, file: string, maxBytes: number): Promise<SmallBlock | undefined> {
  const multihash = multihashOf(file)
  if (multihash === undefined) {
    return undefined
  }
  const path = join(directory, file)
  try {
    const { size } = await stat(path)
    if (size > maxBytes) {
      return undefined
    }
    await using block = await open(path)
    return { multihash, bytes: await fill(Buffer.alloc(size), block, 0) }
  } catch (err) {
    switch ((err as NodeJS.ErrnoException).code) {
      case 'ENOENT':
        // deleted meanwhile
        return undefined
      case 'EIO':
        return { multihash, bytes: new Uint8Array() }
      default:
        throw err
    }
  }
}
