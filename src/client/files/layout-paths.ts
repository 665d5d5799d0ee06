import { algorithmOf, hexOf, type Digest } from '../../oci/digest.ts'

/** Content of the file `oci-layout` */
export const layoutFile = '{"imageLayoutVersion":"1.0.0"}'

/** Where a blob or manifest lies in an OCI image layout */
export function blobPath(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`
}
