import { createHash } from 'node:crypto'
import { OciError } from './errors.ts'

/**
 * The digest algorithms that the registry supports, with the length of a digest in hexadecimal. `node:crypto` has the
 * same names.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#registered-algorithms
 */
const hexLengths = { sha256: 64, sha512: 128 } as const

export type DigestAlgorithm = keyof typeof hexLengths

/** `<algorithm>:<hex>`, with a supported algorithm and the right length */
export type Digest = `${DigestAlgorithm}:${string}`

export const digestAlgorithms = Object.keys(hexLengths) as DigestAlgorithm[]

const digestPattern = new RegExp(
  `^(?:${digestAlgorithms.map(algorithm => `${algorithm}:[a-f0-9]{${hexLengths[algorithm]}}`).join('|')})$`,
)

export function isDigestAlgorithm(text: unknown): text is DigestAlgorithm {
  return typeof text === 'string' && Object.hasOwn(hexLengths, text)
}

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && digestPattern.test(text)
}

/** @throws OciError DIGEST_INVALID */
export function parseDigest(text: unknown): Digest {
  if (!isDigest(text)) {
    throw new OciError('DIGEST_INVALID', {
      detail: { digest: typeof text === 'string' ? text.slice(0, 200) : null, supported: digestAlgorithms },
    })
  }
  return text
}

/** Hashes all bytes at once */
export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): Digest {
  return digestFrom(algorithm, createHash(algorithm).update(bytes).digest('hex'))
}

/**
 * Computes the digest of bytes with the algorithm of the digest that they were asked for or pushed by, or with sha256
 *
 * @throws OciError DIGEST_INVALID where it is another digest
 */
export function requireDigest(bytes: Uint8Array, expected: Digest | undefined): Digest {
  const digest = digestOf(expected === undefined ? 'sha256' : algorithmOf(expected), bytes)
  if (expected !== undefined && expected !== digest) {
    throw new OciError('DIGEST_INVALID', { detail: { digest: expected, actual: digest } })
  }
  return digest
}

export function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.slice(0, digest.indexOf(':')) as DigestAlgorithm
}

export function hexOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function digestFrom(algorithm: DigestAlgorithm, hex: string): Digest {
  return `${algorithm}:${hex}`
}
