/** Whether what a link leads to is what the node with the link says of it */
import type { CID } from 'multiformats/cid'
import { shown } from '../blocks/block-cid.ts'
import { verifyBlock } from '../blocks/verify-block.ts'
import { RefusedDagError } from '../errors.ts'
import { dagLimits } from './dag-limits.ts'
import type { DagLink, DagNode } from './decode-node.ts'

/** @throws RefusedDagError where a link leads to a node of another kind or size than it should */
export function requireChild(
  link: Pick<DagLink, 'cid' | 'to' | 'size'>,
  { type, size }: Pick<DagNode, 'type' | 'size'>,
): void {
  if (link.to === 'part' && (type !== 'file' || size !== link.size)) {
    throw new RefusedDagError(
      `${shown(link.cid)} is a ${type} of ${size} bytes; ` +
        `its parent says that it is a part of a file, of ${link.size} bytes`,
    )
  }
  if (link.to === 'shard' && type !== 'shard') {
    throw new RefusedDagError(`${shown(link.cid)} is a ${type}; its parent says that it is a part of a directory`)
  }
}

/**
 * Whether a leaf has as many bytes as its parent says, and no more than a block may have
 *
 * @param size bytes that it should have; undefined where nothing says it
 */
export function isLeafOf(size: number | undefined, bytes: Uint8Array): boolean {
  return bytes.byteLength === (size ?? bytes.byteLength) && bytes.byteLength <= dagLimits.blockBytes
}

/**
 * To be called for a leaf that {@link isLeafOf} says no to
 *
 * @throws DamagedBlockError where the bytes do not match the CID, else RefusedDagError: then the parent is wrong
 */
export async function refuseLeaf(cid: CID, bytes: Uint8Array, expected: number | undefined): Promise<never> {
  await verifyBlock(cid, bytes)
  throw new RefusedDagError(
    `${shown(cid)} has ${bytes.byteLength} bytes instead of ${expected ?? `at most ${dagLimits.blockBytes}`}`,
  )
}
