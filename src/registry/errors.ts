import { OciError, type OciErrorCode } from '../oci/errors.ts'
import type { UpstreamError } from './upstream.ts'

/** A resolver in the configuration can't be used */
export class ResolverError extends Error {
  static readonly name = 'ResolverError'
  readonly name = 'ResolverError'
  /** Printed without a stack */
  readonly expected = true
}

/**
 * Translates an error of `ipfs` or `index` into the one that the client gets. Any other error stays as it is.
 *
 * @param refused code for content that is refused: over a limit or malformed
 */
export function toOciError(err: unknown, refused: OciErrorCode = 'NAME_UNKNOWN'): unknown {
  const { message, name } = (err ?? {}) as Partial<Error>
  if (isStorageFull(err)) {
    const detail = name === 'IndexError' ? indexFull : detailOf(err)
    return new OciError('STORAGE_FULL', { detail, cause: err })
  }
  const because = (code: OciErrorCode, reason: string | undefined): OciError =>
    new OciError(code, { detail: { reason }, cause: err })
  switch (name) {
    case 'BlobTooLargeError':
      return new OciError('BLOB_TOO_LARGE', { detail: detailOf(err), cause: err })
    case 'NotFoundError':
    case 'DamagedBlockError':
      return because('UNAVAILABLE', 'a block of this content is missing or damaged')
    case 'UnavailableError':
      return because('UNAVAILABLE', 'no peer or gateway delivered this content in time')
    case 'RepetitiveFileError':
      return because('BLOB_UPLOAD_INVALID', `the blob repeats itself too often: ${message}`)
    case 'RefusedDagError':
      return because(refused, `the registry does not serve this content: ${message}`)
    case 'UpstreamError':
      return ofUpstream(err as UpstreamError)
    case 'InvalidNameError':
    case 'NameNotFoundError':
      return because('NAME_UNKNOWN', message)
    default:
      return err
  }
}

const upstreamCodes = {
  unreachable: 'UNAVAILABLE',
  denied: 'DENIED',
  throttled: 'UNAVAILABLE',
  invalid: 'UPSTREAM_INVALID',
} as const

/** The message is what docker shows, so it says which upstream and why */
function ofUpstream(err: UpstreamError): OciError {
  const { message, reason, retryAfter, upstream } = err
  return new OciError(upstreamCodes[reason], {
    message,
    detail: { upstream },
    headers: retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) },
    cause: err,
  })
}

/** Runs `work`, and throws its errors as {@link toOciError} translates them */
export async function translateErrors<T>(work: () => Promise<T>, refused?: OciErrorCode): Promise<T> {
  try {
    return await work()
  } catch (err) {
    throw toOciError(err, refused)
  }
}

/** Passes on all items, and throws an error of their source as `translate` translates it */
export async function* translateErrorsOf<T>(
  items: AsyncIterable<T>,
  translate: (err: unknown) => unknown = toOciError,
): AsyncGenerator<T> {
  try {
    yield* items
  } catch (err) {
    throw translate(err)
  }
}

/** Whether there is no room: for blocks, or for the index */
export function isStorageFull(err: unknown): boolean {
  const { code, name } = (err ?? {}) as Partial<Error> & { code?: unknown }
  return name === 'StorageFullError' || code === 'INDEX_FULL'
}

export function uploadUnknown(id: string): OciError {
  return new OciError('BLOB_UPLOAD_UNKNOWN', { detail: { upload: id.slice(0, 100) } })
}

/** As `StorageFullError` of the blocks details it */
const indexFull = { limit: 'file system', reason: 'too little is free for the index' }

function detailOf(err: unknown): Record<string, unknown> | undefined {
  return (err as { detail?: Record<string, unknown> }).detail
}
