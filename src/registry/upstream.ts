import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

/** Another registry, as the configuration lists it */
export interface Upstream {
  /** The host that clients know it by, such as docker.io */
  readonly name: string
  /** Milliseconds for which a tag is not asked for again */
  readonly tagTtl: number
  /** What a prefetch gets of an index, such as `linux/amd64` or `all`; undefined: the platform of this machine */
  readonly platforms?: readonly string[] | undefined
  /** How it is at this moment; undefined where nobody notes that */
  readonly state?: (() => UpstreamState) | undefined
  /** Whether this repository of it is mirrored */
  mirrors: (repository: string) => boolean
  /**
   * HEAD, which costs no pull
   *
   * @returns undefined where it is not there (404)
   * @throws UpstreamError
   */
  headManifest: (
    repository: string,
    reference: string,
    options: UpstreamOptions,
  ) => Promise<{ digest: Digest; mediaType: string | undefined; size: number | undefined } | undefined>
  /**
   * The bytes are compared with the digest where the reference is one
   *
   * @returns undefined where it is not there (404)
   * @throws UpstreamError
   */
  manifest: (
    repository: string,
    reference: string,
    options: UpstreamOptions,
  ) => Promise<{ bytes: Uint8Array; mediaType: string | undefined; digest: Digest } | undefined>
  /**
   * A blob from `start` to `end`, both included
   *
   * @returns its `start` is 0 where upstream ignores ranges; undefined where the blob is not there (404)
   * @throws UpstreamError, also while its bytes are read
   */
  blob: (repository: string, digest: Digest, options: UpstreamOptions & BlobPart) => Promise<UpstreamBody | undefined>
  /**
   * @returns undefined where the repository is not there (404)
   * @throws UpstreamError
   */
  tags: (repository: string, options: UpstreamOptions) => Promise<string[] | undefined>
  /**
   * @returns undefined where upstream has no such endpoint (404)
   * @throws UpstreamError
   */
  referrers: (repository: string, subject: Digest, options: UpstreamOptions) => Promise<Descriptor[] | undefined>
}

/** What is known of an upstream while it is used; times in ISO 8601 */
export interface UpstreamState {
  /** Where it is asked */
  url: string
  /** Bytes per second that are fetched from it; undefined: unlimited */
  maxRate: number | undefined
  /** Requests to it at a time */
  maxRequests: number
  /** When it last answered as it should */
  answered?: string | undefined
  /** What went wrong last; the message has no secrets and no paths */
  failed?: { time: string; reason: UpstreamFailure; message: string } | undefined
  /** Until when it wants to be left alone */
  pausedUntil?: string | undefined
  rateLimit?: RateLimitState | undefined
}

/** What the upstream last said of how often it may be asked */
export interface RateLimitState {
  time: string
  remaining: number
  /** Of how many */
  limit?: number | undefined
  /** Seconds in which so many are allowed */
  window?: number | undefined
}

export interface BlobPart {
  start?: number
  end?: number
  /** Bytes of the whole blob, where that is known: an answer that contradicts it is refused */
  size?: number
}

export interface UpstreamBody {
  /** The first byte that comes */
  start: number
  /** Bytes of the whole blob; undefined where upstream does not tell */
  size: number | undefined
  /** A chunk may be overwritten once the next one is asked for */
  bytes: AsyncIterable<Uint8Array>
}

export interface UpstreamOptions {
  signal?: AbortSignal | undefined
  /** `Via` of the client's request: each registry on the way adds itself, and so notices a loop */
  via?: string | undefined
}

/**
 * Why an upstream delivers nothing: it can't be reached, refuses (401 or 403), asks to come back later (429), or
 * answers with what can't be right: other bytes, another length, no end, a redirect that is not allowed
 */
export type UpstreamFailure = 'unreachable' | 'denied' | 'throttled' | 'invalid'

export interface UpstreamErrorInit extends ErrorOptions {
  upstream: string
  reason: UpstreamFailure
  /** Seconds, where the upstream tells when to come back */
  retryAfter?: number | undefined
}

/** An upstream does not deliver. Its message has no secrets and no paths: clients may read it. */
export class UpstreamError extends Error {
  static readonly name = 'UpstreamError'
  readonly name = 'UpstreamError'
  readonly upstream: string
  readonly reason: UpstreamFailure
  readonly retryAfter: number | undefined

  constructor(message: string, { upstream, reason, retryAfter, ...options }: UpstreamErrorInit) {
    super(message, options)
    this.upstream = upstream
    this.reason = reason
    this.retryAfter = retryAfter
  }
}
