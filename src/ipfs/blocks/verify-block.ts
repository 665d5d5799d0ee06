/** The comparison of bytes with the CID that they claim to have */
import { hash } from 'node:crypto'
import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import type { StoreOptions } from '../content-store.ts'
import { DamagedBlockError, UnavailableError } from '../errors.ts'
import { hashNames } from './block-cid.ts'

const hashers = [sha256, sha512, identity]

/**
 * Compares on the thread pool
 *
 * @throws DamagedBlockError where the bytes do not match the CID, UnavailableError where we can't compute its hash
 *   function
 */
export async function verifyBlock(cid: CID, bytes: Uint8Array): Promise<void> {
  const hasher = hashers.find(({ code }) => code === cid.multihash.code)
  if (hasher === undefined) {
    throw new UnavailableError(
      `${cid.toString()} can't be compared with its block: unknown hash function 0x${cid.multihash.code.toString(16)}`,
    )
  }
  if (!equals((await hasher.digest(bytes)).digest, cid.multihash.digest)) {
    throw new DamagedBlockError(`The bytes received do not match the CID ${cid.toString()}`)
  }
}

/**
 * Compares at once, on the thread of the caller
 *
 * @param known SHA-256 of the bytes, where it has been computed already
 * @returns true also where we can't compute the hash function: nothing shows then that the block is damaged
 */
export function matchesCid({ multihash }: CID, bytes: Uint8Array, known: Uint8Array | undefined): boolean {
  const name = hashNames.get(multihash.code)
  if (name === undefined) {
    return true
  }
  const actual = name === 'sha256' && known !== undefined ? known : hash(name, bytes, 'buffer')
  // a multihash may hold only the beginning of a digest
  return equals(actual.subarray(0, multihash.digest.byteLength), multihash.digest)
}

/**
 * Reads a block and compares it with its CID, even where that was done a moment ago; throws what `read` and {@link
 * verifyBlock} throw
 */
export async function readVerified<Options extends StoreOptions>(
  blockstore: { read: (cid: CID, options?: Options) => Promise<Uint8Array> },
  cid: CID,
  options?: Options,
): Promise<Uint8Array> {
  const bytes = await blockstore.read(cid, options)
  await verifyBlock(cid, bytes)
  return bytes
}
