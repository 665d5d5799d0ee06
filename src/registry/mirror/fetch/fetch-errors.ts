import type { Digest } from '../../../oci/digest.ts'
import { OciError } from '../../../oci/errors.ts'
import { toOciError } from '../../errors.ts'

export function unavailable(digest: Digest, reason: string): OciError {
  return new OciError('UNAVAILABLE', { detail: { digest, reason } })
}

/** Clients get no other error than one of the specification */
export function failureOf(digest: Digest, cause: unknown): OciError {
  const err = toOciError(cause)
  return err instanceof OciError
    ? err
    : new OciError('UNAVAILABLE', { detail: { digest, reason: 'the blob could not be fetched' }, cause })
}
