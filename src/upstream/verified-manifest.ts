import { algorithmOf, digestOf, isDigest, type Digest } from '../oci/digest.ts'
import { parseMediaType } from '../oci/manifest/media-types.ts'
import type { Upstream } from '../registry/upstream.ts'
import type { UpstreamErrors } from './upstream-errors.ts'

/** What the headers of a manifest say */
export function toldOf(headers: Headers): { digest: Digest | undefined; mediaType: string | undefined } {
  const digest = headers.get('Docker-Content-Digest')
  return {
    digest: isDigest(digest) ? digest : undefined,
    mediaType: parseMediaType(headers.get('Content-Type') ?? undefined),
  }
}

/**
 * Compares a manifest with the digest that it was asked for by, or else with the one that the upstream says
 *
 * @throws UpstreamError
 */
export function verifiedManifest(
  bytes: Uint8Array,
  reference: string,
  headers: Headers,
  errors: UpstreamErrors,
): NonNullable<Awaited<ReturnType<Upstream['manifest']>>> {
  const { digest: told, mediaType } = toldOf(headers)
  const expected = isDigest(reference) ? reference : told
  const digest = digestOf(expected === undefined ? 'sha256' : algorithmOf(expected), bytes)
  if (expected !== undefined && expected !== digest) {
    throw errors.invalid(`sent another manifest than ${expected}`)
  }
  return { bytes, mediaType, digest }
}

/**
 * The digest that a HEAD request found
 *
 * @throws UpstreamError where it was asked for by another one
 */
export function requireTold(told: Digest, reference: string, errors: UpstreamErrors): Digest {
  if (isDigest(reference) && reference !== told && algorithmOf(reference) === algorithmOf(told)) {
    throw errors.invalid(`says that manifest ${reference} is ${told}`)
  }
  return isDigest(reference) ? reference : told
}
