import type { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { decodeNode } from '../dag/decode-node.ts'
import { hashBytes, leafSize } from '../dag/encode-node.ts'
import { walkFile } from '../dag/file-walk.ts'
import { maxHashes, type LeafRun } from './digest-messages.ts'

/**
 * Yields the hashes of all leaves of a file, in runs. Reads nodes only. Ends early where the file is not made of leaves
 * of 1 MiB by SHA-256, as our writer makes them.
 *
 * @throws what `read` throws, RefusedDagError
 */
export async function* leafRuns(
  root: CID,
  { size }: { size: number },
  read: (cid: CID) => Promise<Uint8Array>,
): AsyncGenerator<LeafRun> {
  let first = 0
  let hashes: Uint8Array[] = []
  for await (const slice of walkFile(root, async cid => decodeNode(cid, await read(cid)), 0, Infinity)) {
    const index = first + hashes.length
    const expected = Math.min(leafSize, size - index * leafSize)
    if (slice instanceof Uint8Array || !isLeaf(slice.cid) || (slice.leafSize ?? size) !== expected) {
      return
    }
    hashes.push(slice.cid.multihash.digest)
    if (hashes.length === maxHashes) {
      yield { first, hashes: Buffer.concat(hashes) }
      first += hashes.length
      hashes = []
    }
  }
  if (hashes.length > 0) {
    yield { first, hashes: Buffer.concat(hashes) }
  }
}

function isLeaf({ code, multihash }: CID): boolean {
  return code === raw.code && multihash.code === sha256.code && multihash.digest.byteLength === hashBytes
}
