/**
 * Image roots, found among the blocks: without an index, nothing else says what lies here. A root is a small block, a directory with the four
 * names that image-root.ts gives it.
 */
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import type { ContentReader } from '../../ipfs/content-store.ts'
import { decodeNode, type DagNode } from '../../ipfs/dag/decode-node.ts'
import { verifyBlock } from '../../ipfs/blocks/verify-block.ts'
import type { SmallBlock } from '../../ipfs/blockstore/small-blocks.ts'
import type { Digest } from '../../oci/digest.ts'
import { readTopManifest } from '../../registry/image/read-image.ts'

/** Four links take about 250 bytes, with CIDs by sha2-512 more */
export const maxRootBytes = 1024
const rootNames = 'blobs,index.json,manifests,oci-layout'

/** An image that is here. Anybody could have made its roots: what they lead to counts only once it was compared with its digest. */
export interface FoundImage {
  digest: Digest
  mediaType: string
  /** All that lead to the manifest; each may lead to other blobs of it */
  roots: string[]
}

export interface FoundProblem {
  cid: string
  reason: string
}

export class FoundImages {
  readonly #images = new Map<Digest, FoundImage>()
  readonly #referrers = new Map<Digest, Set<Digest>>()
  /** Roots of images whose manifest is not here, as where only a part was fetched from other nodes */
  readonly incomplete: string[] = []
  readonly problems: FoundProblem[] = []

  get(digest: Digest): FoundImage | undefined {
    return this.#images.get(digest)
  }

  values(): Iterable<FoundImage> {
    return this.#images.values()
  }

  /** Images that name this one as their subject */
  referrers(subject: Digest): FoundImage[] {
    return Array.from(this.#referrers.get(subject) ?? [], digest => this.#images.get(digest)!)
  }

  /** Adds the image whose root this block is, if it is one. A small block that is damaged may have been one, so it counts as a problem. */
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
        // a stranger's directory that only looks like a root
      }
    }
  }
}

/** @returns undefined where it is something else, as most blocks are */
function nodeOf(cid: CID, bytes: Uint8Array): DagNode | undefined {
  try {
    return decodeNode(cid, bytes)
  } catch {
    return undefined
  }
}
