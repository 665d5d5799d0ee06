import type { Content } from '../ipfs/content-store.ts'
import type { ManifestRecord } from '../index/index.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Manifest } from '../oci/manifest.ts'

/** What is kept of a manifest whose bytes are stored as `content`; its image root comes later */
export function manifestRecord(manifest: Manifest, { cid, dagSize, size }: Content): Omit<ManifestRecord, 'root'> {
  return {
    mediaType: manifest.mediaType,
    size,
    cid,
    dagSize,
    blobs: [...manifest.blobs, ...manifest.others].map(blob => blob.digest),
    manifests: manifest.manifests.map(child => child.digest),
    subject: manifest.subject?.digest,
  }
}

/** What the referrers API answers with for a manifest that has a subject */
export function referrerDescriptor(
  { mediaType, artifactType, annotations }: Manifest,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
): Descriptor {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(annotations === undefined ? {} : { annotations }),
  }
}

/** Everything that a manifest names and that is kept with it: each may be a blob, a manifest or both, whatever its descriptor says */
export function referencesOf({
  blobs,
  manifests,
  subject,
}: Pick<ManifestRecord, 'blobs' | 'manifests' | 'subject'>): Digest[] {
  return [...blobs, ...manifests, ...(subject === undefined ? [] : [subject])]
}
