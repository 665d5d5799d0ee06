import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import type { Manifest } from '../../oci/manifest/manifest.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'

export interface TargetManifest {
  digest: Digest
  bytes: Uint8Array
  manifest: Manifest
  /** Whether this is the manifest of the whole image, instead of one that an index names */
  top: boolean
}

/** Where an image is written to. A manifest comes after everything that it names, so the top manifest comes last. */
export interface ImageTarget {
  /** Whether the target has a blob already, so that it need not be sent */
  hasBlob: (descriptor: Descriptor, options?: AbortOptions) => Promise<boolean>
  /** @param bytes throws at its end if digest or size are not those of the descriptor */
  putBlob: (descriptor: Descriptor, bytes: () => AsyncIterable<Uint8Array>, options?: AbortOptions) => Promise<void>
  putManifest: (manifest: TargetManifest, options?: AbortOptions) => Promise<void>
}
