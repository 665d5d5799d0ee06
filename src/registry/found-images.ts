/**
 * Image roots, found among the blocks: without an index, nothing else says what lies here. A root is a small block, a directory with the four
 * names that image-root.ts gives it.
 */
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import type { ContentReader } from '../ipfs/content-store.ts'
import { decodeNode } from '../ipfs/dag.ts'
import { verifyBlock } from '../ipfs/http-blocks.ts'
import type { SmallBlock } from '../ipfs/small-blocks.ts'
import type { Digest } from '../oci/digest.ts'
import { readTopManifest } from './image-layout.ts'

/** Four links take about 250 bytes, with CIDs by sha2-512 more */
export const maxRootBytes = 1024
const rootNames = 'blobs,index.json,manifests,oci-layout'
const publishedNames = 'cids,images'

/** An image that is here, by its root */
export interface FoundImage {
  digest: Digest
  mediaType: string
  root: string
  /** Bytes of all below the root */
  dagSize: number
}

export interface FoundProblem {
  cid: string
  reason: string
}

export class FoundImages {
  readonly #images = new Map<Digest, FoundImage>()
  readonly #referrers = new Map<Digest, Digest[]>()
  /** Roots of images whose manifest is not here, as where only a part was fetched from other nodes */
  readonly incomplete: string[] = []
  readonly problems: FoundProblem[] = []
  /** Root of the directory of all tags that was written last */
  published: { root: string, written: number } | undefined

  get size (): number {
    return this.#images.size
  }

  get (digest: Digest): FoundImage | undefined {
    return this.#images.get(digest)
  }

  values (): Iterable<FoundImage> {
    return this.#images.values()
  }

  /** Images that name this one as their subject */
  referrers (subject: Digest): FoundImage[] {
    return (this.#referrers.get(subject) ?? []).map(digest => this.#images.get(digest)!)
  }

  /** Adds the image whose root this block is, if it is one. A small block that is damaged may have been one, so it counts as a problem. */
  async add (reader: ContentReader, { multihash, bytes, written }: SmallBlock, signal: AbortSignal): Promise<void> {
    const cid = CID.createV1(dagPb.code, multihash)
    try {
      await verifyBlock(cid, bytes)
    } catch (err) {
      this.problems.push({ cid: cid.toString(), reason: (err as Error).message })
      return
    }
    const node = decodeNode(cid, bytes)
    const names = node?.unixfs.type === 'directory' ? node.links.map(link => link.Name).sort().join() : undefined
    if (names === rootNames) {
      await this.#add(reader, cid.toString(), signal)
    } else if (names === publishedNames && written > (this.published?.written ?? 0)) {
      this.published = { root: cid.toString(), written }
    }
  }

  async #add (reader: ContentReader, root: string, signal: AbortSignal): Promise<void> {
    try {
      const top = await readTopManifest(reader, root, { signal })
      const dagSize = (await reader.find(root, [], { signal }))?.dagSize ?? 0
      const known = this.#images.get(top.digest)
      // where blobs were missing at first, the same manifest has several roots: the largest knows the most
      if (known === undefined || dagSize > known.dagSize) {
        this.#images.set(top.digest, { digest: top.digest, mediaType: top.manifest.mediaType, root, dagSize })
      }
      const subject = top.manifest.subject?.digest
      if (subject !== undefined && known === undefined) {
        this.#referrers.set(subject, [...this.#referrers.get(subject) ?? [], top.digest])
      }
    } catch (err) {
      signal.throwIfAborted()
      if ((err as Error).name === 'NotFoundError') {
        this.incomplete.push(root)
      } else {
        this.problems.push({ cid: root, reason: (err as Error).message })
      }
    }
  }
}
