import type { Content } from '../ipfs/content-store.ts'
import type { ManifestRecord } from '../index/index.ts'
import { deprecationIn } from '../oci/manifest/annotations.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { Manifest } from '../oci/manifest/manifest.ts'

/** The index record of a manifest whose bytes are stored as `content`; the image root is added later */
export function manifestRecord(
  manifest: Manifest,
  { cid, dagSize, size }: Content,
  references = referencesIn(manifest),
): Omit<ManifestRecord, 'root'> {
  const deprecated = deprecationIn(manifest.annotations)
  const record = { mediaType: manifest.mediaType, size, cid, dagSize, ...references }
  return deprecated === undefined ? record : { ...record, deprecated }
}

/** The digests that a manifest names, each once, as its record has them */
export function referencesIn(manifest: Manifest): Pick<ManifestRecord, 'blobs' | 'manifests' | 'subject'> {
  return {
    blobs: [...new Set([...manifest.blobs, ...manifest.others].map(blob => blob.digest))],
    manifests: [...new Set(manifest.manifests.map(child => child.digest))],
    subject: manifest.subject?.digest,
  }
}

/** What the referrers API answers for a manifest that has a subject */
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

/** All digests that a manifest names. Each may stand for a blob, a manifest or both, whatever its descriptor says. */
export function referencesOf({
  blobs,
  manifests,
  subject,
}: Pick<ManifestRecord, 'blobs' | 'manifests' | 'subject'>): Digest[] {
  return [...blobs, ...manifests, ...(subject === undefined ? [] : [subject])]
}
