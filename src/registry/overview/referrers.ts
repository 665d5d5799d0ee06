import type { Digest } from '../../oci/digest.ts'
import type { LocalRepository } from '../repositories/local-repository.ts'
import { readDescriptor } from '../referrer.ts'
import { pairsOf, textOf, type Limited, type Pair } from './limited.ts'

/** Of all levels together, and levels: signatures of SBOMs of images have three */
const [maxReferrers, maxDepth] = [100, 4]

/** What names a manifest as its subject */
export interface Referrer {
  digest: Digest
  artifactType: string | undefined
  /** Bytes of its manifest */
  size: number
  annotations: Limited<Pair>
  /** What names this one as its subject */
  referrers: Referrer[]
}

/** Everything that is about a manifest, as a tree; `total` is as many as there are here, or more where it is cut */
export async function readReferrers(
  repository: Pick<LocalRepository, 'referrers'>,
  subject: Digest,
): Promise<Limited<Referrer>> {
  let total = 0
  const read = async (digest: Digest, depth: number): Promise<Referrer[]> => {
    const referrers: Referrer[] = []
    if (depth > maxDepth || total > maxReferrers) {
      return referrers
    }
    const { items } = await repository.referrers(digest, { limit: maxReferrers - total + 1, last: undefined })
    for (const item of items.map(readDescriptor)) {
      total++
      if (total <= maxReferrers) {
        referrers.push({
          digest: item.digest,
          artifactType: textOf(item.artifactType),
          size: item.size,
          annotations: pairsOf(item.annotations),
          referrers: await read(item.digest, depth + 1),
        })
      }
    }
    return referrers
  }
  return { items: await read(subject, 1), total }
}
