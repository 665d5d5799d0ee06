import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { forEach } from '../../scheduling/for-each.ts'
import { Pace } from '../../scheduling/pace.ts'
import { blockKey, type BlockKey } from '../blocks/block-set.ts'
import { blockDirectories, multihashOf, type BlockPlace } from './layout.ts'

/** Deletions that run at a time */
const concurrency = 8
/** Blocks that are looked at before the event loop gets its turn */
const blocksPerTurn = 500

export interface SweepOptions {
  signal?: AbortSignal | undefined
  /** Only counts what would be deleted */
  dryRun?: boolean | undefined
  /** A block put this recently stays, where that is a shorter time than usual; milliseconds */
  recent?: number | undefined
  /** @default unhurried, so that pushes and pulls go first */
  pace?: Pace | undefined
  /** Called after each directory with the totals so far */
  onProgress?: ((progress: SweepProgress) => void) | undefined
}

/** What was deleted, or in a dry run would be */
export interface Swept {
  blocks: number
  bytes: number
}

export interface SweepProgress extends Swept {
  /** Number of blocks that were looked at, and about how many there are */
  checked: number
  total: number
}

export interface SweptBlock extends BlockPlace {
  key: BlockKey
}

/**
 * Goes through all blocks of a blockstore, one directory after the other
 *
 * @param collect called for each block. It decides without an `await`: undefined where the block stays, else a promise
 *   of the bytes that deleting it frees.
 */
export async function sweepBlocks(
  location: string,
  collect: (block: SweptBlock) => Promise<number> | undefined,
  { signal, onProgress, pace = new Pace() }: SweepOptions,
): Promise<Swept> {
  const swept: Swept = { blocks: 0, bytes: 0 }
  let checked = 0
  const directories = await blockDirectories(location)
  for (const [i, directory] of directories.entries()) {
    signal?.throwIfAborted()
    const files = await readdir(join(location, directory))
    for (let start = 0; start < files.length; start += blocksPerTurn) {
      await forEach(files.slice(start, start + blocksPerTurn), concurrency, signal, async file => {
        const digest = multihashOf(file)?.digest
        const bytes = digest === undefined ? undefined : await collect({ directory, file, key: blockKey(digest) })
        if (bytes !== undefined) {
          swept.bytes += bytes
          swept.blocks++
        }
      })
      await setImmediate()
    }
    checked += files.length
    onProgress?.({ ...swept, checked, total: Math.round((checked * directories.length) / (i + 1)) })
    await pace.rest({ signal })
  }
  return swept
}
