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
   * Adds an image if the block is an image root. A damaged small block may have been one, so it counts as a problem.
   */
  async add(reader: ContentReader, { multihash, bytes }: SmallBlock, signal: AbortSignal): Promise<void> {
    const cid = CID.createV1(dagPb.code, multihash)
    try {
      await verifyBlock(cid, bytes)
    } catch (err) {
      this.problems.push({ cid: cid.toString(), reason: (err as Error).message })
      return
    }
    const node = nodeOf(cid, bytes)
    if (
      node?.type === 'directory' &&
      node.links
        .map(link => link.name)
        .sort()
        .join() === rootNames
    ) {
      await this.#add(reader, cid.toString(), signal)
    }
  }

  async #add(reader: ContentReader, root: string, signal: AbortSignal): Promise<void> {
    try {
      const { digest, manifest } = await readTopManifest(reader, root, { signal })
      const known = this.#images.get(digest)
      if (known === undefined) {
        this.#images.set(digest, { digest, mediaType: manifest.mediaType, roots: [root] })
      } else {
        known.roots.push(root)
      }
      if (manifest.subject !== undefined) {
        const referrers = this.#referrers.get(manifest.subject.digest)
        referrers === undefined
          ? this.#referrers.set(manifest.subject.digest, new Set([digest]))
          : referrers.add(digest)
      }
    } catch (err) {
      signal.throwIfAborted()
      switch ((err as Error).name) {
        case 'NotFoundError':
          this.incomplete.push(root)
          break
        case 'DamagedBlockError':
          this.problems.push({ cid: root, reason: (err as Error).message })
          break
        default:
        // a stranger's directory that only looks like an image root
      }
    }
  }
}

/** @returns undefined where the block is not a node, as most are not */
function nodeOf(cid: CID, bytes: Uint8Array): DagNode | undefined {
  try {
    return decodeNode(cid, bytes)
  } catch {
    return undefined
  }
}
