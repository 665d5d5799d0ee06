/**
 * The format of a backup: a directory in IPFS with everything that clients can pull from a registry at one moment.
 *
 * ```
 * <root>/ipdr-backup                           the number of this format
 * <root>/repositories/<repository>/            with `:` in place of each `/`
 *          records                             one JSON record per line
 *          manifests/<digest>                  the image root of every manifest
 *          blobs/<digest>                      every blob that the repository may serve
 * ```
 *
 * The directory depends on the content alone, so what has not changed has the same CID in the next backup.
 */
import type { BlobRecord } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'

export const backupFormat = '1'
/** Names in these directories */
export const backupNames = {
  format: 'ipdr-backup',
  repositories: 'repositories',
  records: 'records',
  manifests: 'manifests',
  blobs: 'blobs',
} as const

/** One line of `records` */
export type BackupRecord =
  | { manifest: Digest; mediaType: string; root: string; updated?: string | undefined }
  | { tag: string; digest: Digest; updated: string }
  | ({ blob: Digest } & Pick<BlobRecord, 'cid' | 'size' | 'dagSize'>)
