import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { multihashOf, shardsOf } from './block-files.ts'
import { blockKey, type BlockKey } from '../blocks/block-set.ts'
import { forEach } from '../../scheduling/for-each.ts'
import { Pace } from '../../scheduling/pace.ts'

/** Deletions that run at a time */
const concurrency = 8
/** Names that are looked at before others get their turn */
const namesPerTurn = 500

export interface SweepOptions {
  signal?: AbortSignal | undefined
  /** Only counts what would be deleted */
  dryRun?: boolean | undefined
  /** Blocks written so long ago or less stay, where that is shorter than usual; milliseconds */
  recent?: number | undefined
  /** @default without haste */
  pace?: Pace | undefined
  /** How far it is: after each directory */
  onProgress?: ((swept: Swept) => void) | undefined
}

export interface Swept {
  /** Deleted, or in a dry run to be deleted */
  blocks: number
  bytes: number
}

export interface SweptBlock {
  directory: string
  file: string
  key: BlockKey
}

/**
 * Walks all blocks of a blockstore, one directory after the other
 *
 * @param collect is called for each block, and decides at once: it returns undefined where the block stays, else the bytes that its end frees
 */
export async function sweepBlocks(
  path: string,
  collect: (block: SweptBlock) => Promise<number> | undefined,
  { signal, onProgress, pace = new Pace() }: SweepOptions,
): Promise<Swept> {
  const swept: Swept = { blocks: 0, bytes: 0 }
  for (const directory of await shardsOf(path)) {
    signal?.throwIfAborted()
    const names = await readdir(join(path, directory))
    for (let start = 0; start < names.length; start += namesPerTurn) {
      await sweepNames(directory, names.slice(start, start + namesPerTurn), collect, swept, signal)
      await setImmediate()
    }
    onProgress?.({ ...swept })
    await pace.rest({ signal })
  }
  return swept
}

async function sweepNames(
  directory: string,
  names: string[],
  collect: (block: SweptBlock) => Promise<number> | undefined,
  swept: Swept,
  signal: AbortSignal | undefined,
): Promise<void> {
  await forEach(names, concurrency, signal, async file => {
    const digest = multihashOf(file)?.digest
    const bytes = digest === undefined ? undefined : await collect({ directory, file, key: blockKey(digest) })
    if (bytes !== undefined) {
      swept.bytes += bytes
      swept.blocks++
    }
  })
}
