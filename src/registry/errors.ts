import { OciError, type OciErrorCode } from '../oci/errors.ts'

/**
 * Turns what an adapter throws into what a client is told; anything else is passed on as it is
 *
 * @param refused code where what was asked for is nothing that anybody has to walk
 */
export function toOciError(err: unknown, refused: OciErrorCode = 'NAME_UNKNOWN'): unknown {
  switch ((err as Error | undefined)?.name) {
    case 'StorageFullError':
      return new OciError('STORAGE_FULL', { ...detailOf(err), cause: err })
    case 'BlobTooLargeError':
      return new OciError('BLOB_TOO_LARGE', { ...detailOf(err), cause: err })
    case 'NotFoundError':
    case 'DamagedBlockError':
      return new OciError('UNAVAILABLE', {
        detail: { reason: 'a block of this content is missing or damaged' },
        cause: err,
      })
    case 'UnavailableError':
      return new OciError('UNAVAILABLE', {
        detail: { reason: 'no peer or gateway delivered this content in time' },
        cause: err,
      })
    case 'RepetitiveFileError':
      return new OciError('BLOB_UPLOAD_INVALID', {
        detail: { reason: `the blob is too large for what is in it: ${(err as Error).message}` },
        cause: err,
      })
    case 'RefusedDagError':
      return new OciError(refused, {
        detail: { reason: `this content is nothing that a registry serves: ${(err as Error).message}` },
        cause: err,
      })
    case 'InvalidNameError':
    case 'NameNotFoundError':
      return new OciError('NAME_UNKNOWN', { detail: { reason: (err as Error).message }, cause: err })
    default:
      return err
  }
}

/** Whether a block is not here, or not what it should be */
export function isDamage(err: unknown): boolean {
  return ['NotFoundError', 'DamagedBlockError'].includes((err as Error | undefined)?.name ?? '')
}

/** @throws OciError where `work` fails with an error of an adapter that a client is told about */
export async function translateErrors<T>(work: () => Promise<T>, refused?: OciErrorCode): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw toOciError(err, refused)
  }
}

export function uploadUnknown(id: string): OciError {
  return new OciError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: id.slice(0, 100) } })
}

function detailOf(err: unknown): { detail?: Record<string, unknown> } {
  const { detail } = err as { detail?: Record<string, unknown> }
  return detail === undefined ? {} : { detail }
}
