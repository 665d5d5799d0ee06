/** How large and how deep a DAG may be. Whoever reads, walks, marks, saves or fetches one refuses what has more. */
import type { CID } from 'multiformats/cid'
import { shown } from '../blocks/block-cid.ts'
import { maxBlockBytes } from '../blocks/block.ts'
import { RefusedDagError } from '../errors.ts'

const gibibyte = 1024 ** 3

export const dagLimits = {
  blockBytes: maxBlockBytes,
  /**
   * Links of a node. Our files have up to 1024, directories are sharded before they have as many, and decoding more
   * takes too long.
   */
  links: 8 * 1024,
  /**
   * Nodes from the root to a leaf: a repository is directories within each other, and its name may have over a hundred
   * parts
   */
  depth: 256,
  /** KiB of all nodes from the root to a leaf, each rounded up: a walk has them in memory together */
  pathWeight: 32 * 1024,
  /** Different nodes below a root. With 1024 leaves of 1 MiB each, that is a file of 16 PiB. */
  nodes: 2 ** 24,
  /** A file that claims more bytes than this is counted before it is read, unless our writer made it */
  uncountedBytes: 64 * gibibyte,
  /** How many times the size of its different blocks such a file may claim, by repeating them */
  repetition: 1024,
} as const

/** @throws RefusedDagError where a block is larger than a block may be */
export function requireBlockSize(cid: CID, { byteLength }: Uint8Array): void {
  if (byteLength > dagLimits.blockBytes) {
    throw new RefusedDagError(`${shown(cid)} has ${byteLength} bytes; a block may have ${dagLimits.blockBytes}`)
  }
}

/**
 * @param depth nodes on a path from the root down
 * @param weight KiB of these nodes
 * @throws RefusedDagError
 */
export function requireDepth(cid: CID, depth: number, weight: number): void {
  if (depth > dagLimits.depth || weight > dagLimits.pathWeight) {
    throw new RefusedDagError(
      `${shown(cid)} is on a path of ${depth} nodes of ${weight} KiB; ` +
        `a path may have ${dagLimits.depth} nodes of ${dagLimits.pathWeight} KiB`,
    )
  }
}
