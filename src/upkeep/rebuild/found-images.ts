/**
 * Finds image roots among the blocks: without an index, nothing else tells which images there are. An image root is a
 * small block, namely a directory with the four names that `registry/image/image-root.ts` gives it.
 */
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import type { ContentReader } from '../../ipfs/content-store.ts'
import { decodeNode, type DagNode } from '../../ipfs/dag/decode-node.ts'
import { verifyBlock } from '../../ipfs/blocks/verify-block.ts'
import type { SmallBlock } from '../../ipfs/blockstore/small-blocks.ts'
import type { Digest } from '../../oci/digest.ts'
import { readTopManifest } from '../../registry/image/read-image.ts'

/** Four links take about 250 bytes, or more with CIDs by sha2-512 */
export const maxRootBytes = 1024
const rootNames = 'blobs,index.json,manifests,oci-layout'

/** An image that is here. Anybody may have made its roots, so what they lead to has to be compared with its digest. */
export interface FoundImage {
  digest: Digest
  mediaType: string
  /** All roots that lead to the manifest; each may lead to different blobs */
  roots: string[]
}

export interface FoundProblem {
  cid: string
  reason: string
}

export class FoundImages {
  readonly #images = new Map<Digest, FoundImage>()
  readonly #referrers = new Map<Digest, Set<Digest>>()
  /** Roots of images whose manifest is missing, as where only a part of an image was fetched from other nodes */
  readonly incomplete: string[] = []
  readonly problems: FoundProblem[] = []

  get(digest: Digest): FoundImage | undefined {
    return this.#images.get(digest)
  }

  get size(): number {
    return this.#images.size
  }

  values(): Iterable<FoundImage> {
    return this.#images.values()
  }

  /** Images that name `subject` as their subject */
  referrers(subject: Digest): FoundImage[] {
    return Array.from(this.#referrers.get(subject) ?? [], digest => this.#images.get(digest)!)
  }

  /**
   * Adds the images whose roots are among the blocks. All are read at once, and added in their order, so that the same
   * blocks give the same result.
   */
  async add(reader: ContentReader, blocks: readonly SmallBlock[], signal: AbortSignal): Promise<void> {
    for (const found of await Promise.all(blocks.map(async block => await find(reader, block, signal)))) {
      switch (found?.kind) {
        case 'image':
          this.#add(found)
          break
        case 'incomplete':
          this.incomplete.push(found.root)
          break
        case 'problem':
          this.problems.push({ cid: found.root, reason: found.reason })
          break
        default:
        // not an image root
      }
    }
  }

  #add({ digest, mediaType, root, subject }: Found & { kind: 'image' }): void {
    const known = this.#images.get(digest)
    if (known === undefined) {
      this.#images.set(digest, { digest, mediaType, roots: [root] })
    } else {
      known.roots.push(root)
    }
    if (subject !== undefined) {
      const referrers = this.#referrers.get(subject)
      referrers === undefined ? this.#referrers.set(subject, new Set([digest])) : referrers.add(digest)
    }
  }
}

/** What a small block is, where that matters */
type Found = { root: string } & (
  | { kind: 'image'; digest: Digest; mediaType: string; subject: Digest | undefined }
  | { kind: 'incomplete' }
  | { kind: 'problem'; reason: string }
)

/** @returns undefined where the block is no image root. A damaged one may have been one, so it counts as a problem. */
async function find(
  reader: ContentReader,
  { multihash, bytes }: SmallBlock,
  signal: AbortSignal,
): Promise<Found | undefined> {
  const cid = CID.createV1(dagPb.code, multihash)
  const root = cid.toString()
  try {
    await verifyBlock(cid, bytes)
  } catch (err) {
    return { kind: 'problem', root, reason: (err as Error).message }
  }
  if (!isRoot(nodeOf(cid, bytes))) {
    return undefined
  }
  try {
    const { digest, manifest } = await readTopManifest(reader, root, { signal })
    // a manifest may be large, and only this is needed of it
    return { kind: 'image', root, digest, mediaType: manifest.mediaType, subject: manifest.subject?.digest }
  } catch (err) {
    signal.throwIfAborted()
    switch ((err as Error).name) {
      case 'NotFoundError':
        return { kind: 'incomplete', root }
      case 'DamagedBlockError':
        return { kind: 'problem', root, reason: (err as Error).message }
      default:
        // a stranger's directory that only looks like an image root
        return undefined
    }
  }
}

function isRoot(node: DagNode | undefined): boolean {
  return (
    node?.type === 'directory' &&
    Array.from(node.links, ({ name }) => name)
      .sort()
      .join() === rootNames
  )
}

/** @returns undefined where the block is not a node, as most are not */
function nodeOf(cid: CID, bytes: Uint8Array): DagNode | undefined {
  try {
    return decodeNode(cid, bytes)
  } catch {
    return undefined
  }
}
