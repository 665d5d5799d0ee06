import { requireDigest, type Digest } from '../../oci/digest.ts'
import { parseManifest, parseManifestInSteps, type Manifest } from '../../oci/manifest/manifest.ts'
import type { ManifestLimits } from '../../oci/manifest/manifest-limits.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import type { PutManifest } from '../repository.ts'

/** Bytes. Smaller manifests are hashed and parsed within a millisecond or two. */
const largeManifestBytes = 256 * 1024

/** A manifest that a client pushes, read and checked against its digest */
export interface PushedManifest {
  digest: Digest
  manifest: Manifest
  bytes: Uint8Array
}

type Put = Pick<PutManifest, 'bytes' | 'contentType' | 'reference'>

/** Whether a manifest takes so long to read that other requests should get their turn meanwhile */
export function isLargeManifest({ bytes }: Put): boolean {
  return bytes.byteLength > largeManifestBytes
}

/**
 * Reads a manifest that a client pushes
 *
 * @throws OciError MANIFEST_INVALID; DIGEST_INVALID where the bytes do not match the digest that the client gave
 */
export function readPushedManifest(
  { bytes, contentType, reference }: Put,
  limits: ManifestLimits | undefined,
): PushedManifest {
  return { digest: requireDigest(bytes, reference.digest), manifest: parseManifest(bytes, contentType, limits), bytes }
}

/** Does the same in steps: with 4 MiB, hashing and each step of parsing take about ten milliseconds */
export async function readLargePushedManifest(
  { bytes, contentType, reference }: Put,
  limits: ManifestLimits | undefined,
): Promise<PushedManifest> {
  const slice = new TimeSlice()
  await slice.end()
  const digest = requireDigest(bytes, reference.digest)
  await slice.end()
  const manifest = await parseManifestInSteps(bytes, contentType, limits, async () => {
    await slice.end()
  })
  await slice.end()
  return { digest, manifest, bytes }
}
