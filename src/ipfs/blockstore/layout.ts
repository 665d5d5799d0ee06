/**
 * Where blocks lie on disk. The layout is that of blockstore-fs, so its tools can read what we write:
 *
 * ```
 * <location>/<last two characters of the name>/<base32upper of the multihash>.data   a block
 * <location>/tmp/     blocks that are being written (block-writer.ts); emptied at the start
 * <location>/bytes    the total size of all blocks, there only after a clean stop (block-usage.ts)
 * ```
 */
import { opendir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { NextToLast } from 'blockstore-fs/sharding'
import { base32upper } from 'multiformats/bases/base32'
import type { CID, MultihashDigest } from 'multiformats/cid'
import { decode } from 'multiformats/hashes/digest'

export const temporaryDirectory = 'tmp'
export const usageFile = 'bytes'

export const sharding = new NextToLast()

/** Names of the directory and of the file of a block, neither with a path before it */
export interface BlockPlace {
  directory: string
  file: string
}

export function placeOf(cid: CID): BlockPlace {
  const { dir, file } = sharding.encode(cid)
  return { directory: dir, file }
}

/** @param location of the blockstore */
export function blockPath(location: string, cid: CID): string {
  const { directory, file } = placeOf(cid)
  return join(location, directory, file)
}

/** Names of the directories that hold blocks */
export async function blockDirectories(location: string): Promise<string[]> {
  const found: string[] = []
  for await (const entry of await opendir(location)) {
    if (entry.isDirectory() && entry.name !== temporaryDirectory) {
      found.push(entry.name)
    }
  }
  return found
}

/** @returns the multihash that the name of a file stands for; undefined where the file is not a block */
export function multihashOf(file: string): MultihashDigest | undefined {
  const name = /^(.+)\.data$/.exec(file)?.[1]
  try {
    return name === undefined ? undefined : decode(base32upper.decode(name))
  } catch {
    return undefined
  }
}

/** Whether a blockstore has no block, or does not exist */
export async function hasNoBlocks(location: string): Promise<boolean> {
  try {
    for (const directory of await blockDirectories(location)) {
      if ((await readdir(join(location, directory))).some(file => multihashOf(file) !== undefined)) {
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
