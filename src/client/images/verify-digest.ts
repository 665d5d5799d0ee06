import { createHash } from 'node:crypto'
import { algorithmOf, digestFrom, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { ClientError } from '../../remote/errors.ts'

/**
 * Passes bytes on, and throws ClientError at their end if they do not have the digest and size, or as soon as they are
 * too many
 */
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
      `${digest} is damaged: ${left < 0 ? 'more came' : `${left} bytes less came`} than its ${size} bytes`,
    )
  }
  requireDigest(digest, digestFrom(algorithmOf(digest), hash.digest('hex')))
}

/** @throws ClientError if the bytes do not have the digest */
export function verifyBytes(bytes: Uint8Array, digest: Digest): void {
  requireDigest(digest, digestOf(bytes, algorithmOf(digest)))
}

/** @param algorithm @default sha256 */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return digestFrom(algorithm, createHash(algorithm).update(bytes).digest('hex'))
}

function requireDigest(wanted: Digest, actual: Digest): void {
  if (wanted !== actual) {
    throw new ClientError(`${wanted} is damaged: the bytes have the digest ${actual}`)
  }
}
