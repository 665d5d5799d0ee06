import { createHash } from 'node:crypto'
import { algorithmOf, digestFrom, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { ClientError } from '../errors.ts'

/** Passes bytes on, and throws where they turn out not to be those that were meant */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  { digest, size }: { digest: Digest; size: number },
): AsyncGenerator<Uint8Array> {
  const hash = createHash(algorithmOf(digest))
  let left = size
  for await (const chunk of bytes) {
    left -= chunk.byteLength
    if (left < 0) {
      break
    }
    hash.update(chunk)
    yield chunk
  }
  if (left !== 0) {
    throw new ClientError(
      `${digest} came ${left < 0 ? 'with more' : `${left} bytes short`} than the ${size} bytes that it has`,
    )
  }
  requireDigest(digest, digestFrom(algorithmOf(digest), hash.digest('hex')))
}

export function verifyBytes(bytes: Uint8Array, digest: Digest): void {
  requireDigest(digest, digestOf(bytes, algorithmOf(digest)))
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return digestFrom(algorithm, createHash(algorithm).update(bytes).digest('hex'))
}

function requireDigest(wanted: Digest, actual: Digest): void {
  if (wanted !== actual) {
    throw new ClientError(`${wanted} is damaged: what came has the digest ${actual}`)
  }
}
