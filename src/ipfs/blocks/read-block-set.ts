import { blockKey, BlockSet } from './block-set.ts'
import { DamagedBlockError } from '../errors.ts'

/** Of a digest: as many as tell blocks apart */
const keyBytes = 16

/**
 * Reads a set of blocks from the first bytes of their digests, one behind the other
 *
 * @throws DamagedBlockError where the last is not whole
 */
export async function readBlockKeys(source: AsyncIterable<Uint8Array>): Promise<BlockSet> {
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
