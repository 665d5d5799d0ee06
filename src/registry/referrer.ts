import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

/**
 * A manifest that names another one as its subject. Its descriptor holds its annotations, which may take megabytes, so
 * it stays JSON until somebody looks into it.
 */
export interface Referrer {
  digest: Digest
  /** Its descriptor as UTF-8 */
  json: Uint8Array
}

export function referrerOf(descriptor: Descriptor): Referrer {
  return { digest: descriptor.digest, json: Buffer.from(JSON.stringify(descriptor)) }
}

export function readDescriptor({ json }: Referrer): Descriptor {
  return JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString()) as Descriptor
}
