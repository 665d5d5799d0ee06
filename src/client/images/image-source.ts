import type { AbortOptions } from '../../remote/abort-options.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'

export interface SourceManifest {
  digest: Digest
  bytes: Uint8Array
  /** As the source says; undefined if only the bytes can tell */
  mediaType: string | undefined
}

/** How deep indexes may be nested in an image; more is an attack */
export const maxIndexDepth = 8

/** Where an image is read from. Nothing that it gives has been checked against its digest: copyImage does that. */
export interface ImageSource extends AsyncDisposable {
  /** The manifest or index of the whole image */
  readonly top: SourceManifest
  /** The bytes of a manifest that an index names, or undefined if the source does not have them */
  manifest: (descriptor: Descriptor, options?: AbortOptions) => Promise<Uint8Array | undefined>
  /** The bytes of a blob; a chunk may be overwritten once the next one is asked for */
  blob: (descriptor: Descriptor, options?: AbortOptions) => AsyncIterable<Uint8Array>
}
