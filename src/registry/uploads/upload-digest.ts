import type { ContentStore } from '../../ipfs/content-store.ts'
import { algorithmOf, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { digestOfContent } from '../read-content.ts'
import type { RequestOptions } from '../repository.ts'

/**
 * The digest of a whole upload. Usually it was computed while the bytes arrived. The blocks are read again only where
 * the client names another algorithm at the end, or the server was restarted during the upload.
 *
 * @param file.digest what was computed while the bytes arrived
 * @param drop deletes the upload
 * @throws OciError BLOB_UPLOAD_INVALID where blocks of the upload are missing
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
    // a power failure may take blocks of an open upload, as these are made durable only with the blob
    await drop()
    throw new OciError('BLOB_UPLOAD_INVALID', {
      detail: { reason: 'bytes of this upload were lost: start it again' },
      cause: err,
    })
  }
}
