import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Manifest } from '../../oci/manifest.ts'
import type { AbortOptions } from '../abort-options.ts'

export interface TargetManifest {
  digest: Digest
  bytes: Uint8Array
  manifest: Manifest
  /** Whether it is the image itself, and not below an index */
  top: boolean
}

/** Where an image is brought to: its blobs first, then its manifests from the innermost outwards */
export interface ImageTarget {
  /** Whether a blob need not be sent */
  hasBlob: (descriptor: Descriptor, options?: AbortOptions) => Promise<boolean>
  /** @param bytes throw at their end where they have not the digest or size that they should */
  putBlob: (descriptor: Descriptor, bytes: () => AsyncIterable<Uint8Array>, options?: AbortOptions) => Promise<void>
  putManifest: (manifest: TargetManifest, options?: AbortOptions) => Promise<void>
}
