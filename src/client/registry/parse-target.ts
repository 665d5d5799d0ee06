import { parseRoot, repositoryOf } from '../../oci/cid.ts'
import { parseImageName } from '../../oci/image-name.ts'
import type { Reference } from '../../oci/reference.ts'

/**
 * What a name on the command line means to a registry: an image in one of its repositories, or a CID or IPNS name,
 * which it serves as one
 */
export interface Target {
  host: string | undefined
  repository: string
  reference: Reference
  /** Whether the text has a tag or digest, instead of leaving it to `latest` */
  explicit: boolean
}

/** @throws OciError */
export function parseTarget(text: string): Target {
  const root = parseRoot(text)
  return root === undefined
    ? parseImageName(text)
    : { host: undefined, repository: repositoryOf(root), reference: { tag: 'latest' }, explicit: true }
}
