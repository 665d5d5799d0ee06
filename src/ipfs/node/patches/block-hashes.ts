import { varint } from 'multiformats'
import { create, type Digest } from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { smallFile } from '../../hashing/hasher.ts'
import type { ReceivedBlock, WantList } from './bitswap-parts.ts'

/*
 * Has the blocks that come from peers hashed on other threads
 *
 * @helia/bitswap 4 hashes each block as it arrives, on the main thread, which decrypts and passes on all the others. It
 * asks for a hash function by its code, unless that is the one of SHA-256. So a block is hashed before the library sees
 * it, and is then handed over under a code of our own, whose hash function knows the result.
 */

/**
 * Of the range that multicodec leaves to private use. A peer that names it gets nowhere, as its block was not hashed.
 */
const hashedHere = 0x30_0001
const digestLength = 32

/** SHA-256 of a block; a promise where another thread computes it */
export type HashBlock = (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>

export function hashElsewhere(wantList: WantList, hash: HashBlock): void {
  const digests = new WeakMap<Uint8Array, Digest<typeof sha256.code, number>>()
  const getHasher = wantList.getHasher
  const hasher = { digest: (bytes: Uint8Array) => digests.get(bytes) ?? refuse() }
  wantList.getHasher = code => (code === hashedHere ? hasher : getHasher(code))

  const receive = wantList.receiveMessage.bind(wantList)
  wantList.receiveMessage = async (connection, message) => {
    const hashed = message.blocks.map(async (block): Promise<ReceivedBlock> => {
      const { data, prefix } = block
      if (data === undefined || prefix === undefined || data.byteLength <= smallFile) {
        return block
      }
      const [version, codec, code, length, ...rest] = numbersIn(prefix)
      if (code !== sha256.code || length !== digestLength || rest.length > 0) {
        return block
      }
      digests.set(data, create(sha256.code, await hash(data)))
      return { data, prefix: bytesOf(version!, codec!, hashedHere, length) }
    })
    await receive(connection, { ...message, blocks: await Promise.all(hashed) })
  }
}

function refuse(): never {
  throw new Error('a peer names a hash function that only this node uses')
}

/** The prefix of a block has the numbers of its CID before the digest: version, codec, hash function, length */
function numbersIn(prefix: Uint8Array): number[] {
  const numbers: number[] = []
  for (let at = 0; at < prefix.byteLength; ) {
    const [number, length] = varint.decode(prefix, at)
    numbers.push(number)
    at += length
  }
  return numbers
}

function bytesOf(...numbers: number[]): Uint8Array {
  return Buffer.concat(numbers.map(number => varint.encodeTo(number, new Uint8Array(varint.encodingLength(number)))))
}
