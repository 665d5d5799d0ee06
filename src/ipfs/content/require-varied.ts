import { blockKey, BlockSet } from '../blocks/block-set.ts'
import { dagLimits } from '../dag/dag-limits.ts'
import { leafSize, type FileLink } from '../dag/encode-node.ts'
import { RepetitiveFileError } from '../errors.ts'

/**
 * Refuses a file that would be refused when it is read
 *
 * @throws RepetitiveFileError
 */
export function requireVaried(leaves: readonly FileLink[]): void {
  const size = leaves.length * leafSize
  if (size > dagLimits.uncountedBytes) {
    const different = new BlockSet()
    leaves.forEach(({ cid }) => {
      different.add(blockKey(cid.multihash.digest))
    })
    if (size > different.size * leafSize * dagLimits.repetition) {
      throw new RepetitiveFileError(`a file of ${leaves.length} MiB repeats only ${different.size} MiB`)
    }
  }
}
