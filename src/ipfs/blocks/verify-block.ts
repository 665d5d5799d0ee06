import { equals } from 'multiformats/bytes'
import type { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import type { StoreOptions } from '../content-store.ts'
import { DamagedBlockError, UnavailableError } from '../errors.ts'

const hashers = [sha256, sha512, identity]

/** @throws DamagedBlockError where a block has not the hash that its CID says, UnavailableError where nobody here can tell */
export async function verifyBlock(cid: CID, bytes: Uint8Array): Promise<void> {
  const hasher = hashers.find(({ code }) => code === cid.multihash.code)
  if (hasher === undefined) {
    throw new UnavailableError(
      `${cid.toString()} can't be checked: its hash function 0x${cid.multihash.code.toString(16)} is not known`,
    )
  }
  if (!equals((await hasher.digest(bytes)).digest, cid.multihash.digest)) {
    throw new DamagedBlockError(`What came is not the block ${cid.toString()}`)
  }
}

/** Reads a block and compares it with its CID, however lately that was done; throws as {@link verifyBlock} and `read` */
export async function readVerified<Options extends StoreOptions>(
  blockstore: { read: (cid: CID, options?: Options) => Promise<Uint8Array> },
  cid: CID,
  options?: Options,
): Promise<Uint8Array> {
  const bytes = await blockstore.read(cid, options)
  await verifyBlock(cid, bytes)
  return bytes
}
