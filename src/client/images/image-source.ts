import type { AbortOptions } from '../abort-options.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/descriptor.ts'

export interface SourceManifest {
  digest: Digest
  bytes: Uint8Array
  /** As the source names it; undefined: the bytes say it */
  mediaType: string | undefined
}

/** Where an image is taken from. What it gives is checked by whoever copies it. */
export interface ImageSource extends AsyncDisposable {
  readonly top: SourceManifest
  /** The bytes of a manifest below an index, or undefined where they are not there */
  manifest: (descriptor: Descriptor, options?: AbortOptions) => Promise<Uint8Array | undefined>
  /** A chunk may be overwritten once the next one is asked for */
  blob: (descriptor: Descriptor, options?: AbortOptions) => AsyncIterable<Uint8Array>
}
