import { DamagedBlockError } from '../errors.ts'
import { BlockSet, blockKey, keyBytes } from './block-set.ts'

/**
 * Reads a set of blocks in the form that {@link BlockSet.bytes} writes: their keys, one after the other
 *
 * @throws DamagedBlockError where the last key is cut short
 */
export async function readBlockSet(source: AsyncIterable<Uint8Array>): Promise<BlockSet> {
  const blocks = new BlockSet()
  let left = new Uint8Array()
  for await (const chunk of source) {
    const bytes = left.byteLength === 0 ? chunk : Buffer.concat([left, chunk])
    let offset = 0
    for (; offset + keyBytes <= bytes.byteLength; offset += keyBytes) {
      blocks.add(blockKey(bytes.subarray(offset, offset + keyBytes)))
    }
    left = new Uint8Array(bytes.subarray(offset))
  }
  if (left.byteLength > 0) {
    throw new DamagedBlockError('the last block key is cut short')
  }
  return blocks
}
