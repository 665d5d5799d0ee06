import type { Digest } from '../oci/digest.ts'

/** The time from which on pulls are noted */
export interface PullsRecord {
  /** ISO 8601 */
  since: string
}

/** A manifest that a client pulled */
export interface PulledRecord {
  /** When that was the last time, give or take some minutes; ISO 8601 */
  last: string
}

/** What is known of pulls */
export interface PullIndex {
  /** Undefined where no pull was ever noted */
  pulls: () => Promise<PullsRecord | undefined>
  /** The manifests of a repository that were pulled */
  pulled: (repository: string) => AsyncIterable<{ digest: Digest; record: PulledRecord }>
}

export interface PullChange<This> {
  putPulls: (record: PullsRecord) => This
  putPulled: (repository: string, digest: Digest, record: PulledRecord) => This
}
