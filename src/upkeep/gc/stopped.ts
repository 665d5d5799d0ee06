import { OciError } from '../../oci/errors.ts'

/**
 * To be called with what a run failed with: tells whether it failed only because it had to end
 *
 * @param stop aborted where the server stops
 * @param signal aborted then too, and where the registry has become read-only
 * @throws OciError UNAVAILABLE where the server stops; the reason of the signal where that is aborted
 */
export function requireOwnFailure(cause: unknown, { stop, signal }: { stop: AbortSignal; signal: AbortSignal }): void {
  if (stop.aborted) {
    throw new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' }, cause })
  }
  if (signal.aborted) {
    throw signal.reason
  }
}
