import type { ContentStore } from '../../ipfs/content-store.ts'
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { digestOfContent } from '../read-content.ts'
import type { RequestOptions } from '../repository.ts'

/**
 * The digest of a whole upload. Where the client names another algorithm only at the end, or the server was started anew meanwhile, the blocks
 * are read again.
 *
 * @param file `digest`: what was hashed while it came
 * @param drop forgets the upload
 * @throws OciError BLOB_UPLOAD_INVALID where blocks were lost
 */
export async function digestOfUpload(
  content: Pick<ContentStore, 'read'>,
  file: { cid: string; digest: Digest | undefined },
  algorithm: DigestAlgorithm,
  options: RequestOptions,
  drop: () => Promise<void>,
): Promise<Digest> {
  if (file.digest !== undefined && algorithmOf(file.digest) === algorithm) {
    return file.digest
  }
  try {
    return await digestOfContent(content, file.cid, algorithm, options)
  } catch (err) {
    if ((err as Error).name !== 'NotFoundError') {
      throw err
    }
    // the names of blocks that were written before a power failure need not have got to disk
    await drop()
    throw new OciError('BLOB_UPLOAD_INVALID', {
      detail: { reason: 'bytes of this upload were lost: start it again' },
      cause: err,
    })
  }
}
