import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { Index } from '../../index/index.ts'
import { everything } from '../../oci/pagination.ts'
import { digestKey } from '../digest-key.ts'
import type { Usage } from './quotas.ts'

/** Counts what some repositories have */
export async function countUsage(index: Index, isOne: (repository: string) => boolean): Promise<Usage> {
  const usage: Usage = { bytes: 0, ownBytes: 0, tags: 0 }
  const elsewhere = new BlockSet()
  for await (const { digest, repository } of index.links()) {
    if (!isOne(repository)) {
      elsewhere.add(digestKey(digest))
    }
  }
  const counted = new BlockSet()
  for await (const { digest, repository } of index.links()) {
    if (isOne(repository)) {
      const size = (await index.blob(digest))?.size ?? 0
      usage.bytes += size
      usage.ownBytes += !elsewhere.has(digestKey(digest)) && counted.add(digestKey(digest)) ? size : 0
    }
  }
  for await (const repository of index.repositories(everything)) {
    if (isOne(repository)) {
      for await (const { record } of index.manifests(repository)) {
        usage.bytes += record.size
        usage.ownBytes += record.size
      }
      for await (const _ of index.tags(repository, everything)) {
        usage.tags++
      }
    }
  }
  return usage
}
