import type { Request } from 'express'
import type { Digest } from '../../oci/digest.ts'

/** The ETag of content is its digest: it is strong and never changes */
export function etag(digest: Digest): string {
  return `"${digest}"`
}

/** Whether the client already has the content, by its `If-None-Match` header (RFC 9110, section 13.1.2) */
export function isNotModified(req: Request, digest: Digest): boolean {
  const known = req
    .get('If-None-Match')
    ?.split(',')
    .map(tag => tag.trim().replace(/^W\//, ''))
  return known !== undefined && (known.includes(etag(digest)) || known.includes('*'))
}
