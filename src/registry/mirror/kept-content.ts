import type { Index } from '../../index/index.ts'
import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import { digestKey } from '../digest-key.ts'
import { referencesOf } from '../manifest-record.ts'

/** How much of an upstream is kept here */
export interface KeptContent {
  repositories: number
  manifests: number
  /** Of all blocks, each counted once */
  bytes: number
}

/**
 * Counts what is kept under a prefix of names, which takes a look-up for each blob
 *
 * @param prefix such as `docker.io/`
 */
export async function keptContent(
  index: Pick<Index, 'blob' | 'isLinked' | 'manifests' | 'repositories'>,
  prefix: string,
  signal: AbortSignal,
): Promise<KeptContent> {
  const kept: KeptContent = { repositories: 0, manifests: 0, bytes: 0 }
  const counted = new BlockSet()
  const slice = new TimeSlice()
  for await (const repository of index.repositories({ limit: -1, last: prefix })) {
    if (!repository.startsWith(prefix)) {
      break
    }
    kept.repositories++
    for await (const { record } of index.manifests(repository)) {
      kept.manifests++
      kept.bytes += record.dagSize
      for (const blob of referencesOf(record)) {
        await slice.pause()
        signal.throwIfAborted()
        if ((await index.isLinked(repository, blob)) && counted.add(digestKey(blob))) {
          kept.bytes += (await index.blob(blob))?.dagSize ?? 0
        }
      }
    }
  }
  return kept
}
