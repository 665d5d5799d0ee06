import type { Response } from 'express'
import type { Metrics } from '../../metrics.ts'
import type { FoundManifest, ReadBlobOptions, SourceKind } from '../../registry/repository.ts'

const second = 1000

/**
 * Counts the bytes of a response by where they come from: in a header that names the source of the first byte, in the
 * metrics, and in the log line and the audit record of the request. How long that byte took is told where it does not
 * come from the disk, so that what is here costs nothing more.
 *
 * @param upstream the registry that a repository is of; undefined: this one
 * @see https://www.w3.org/TR/server-timing/
 */
export function countSources(
  res: Response,
  metrics: Metrics,
  upstream?: string,
): NonNullable<ReadBlobOptions['onSource']> {
  const bytes: Partial<Record<SourceKind, number>> = {}
  res.locals.sources = bytes
  if (upstream !== undefined) {
    res.once('close', () => {
      countMirrored(bytes, metrics, upstream)
    })
  }
  return (source, count) => {
    if (!res.headersSent) {
      res.setHeader('X-Ipdr-Source', source)
      if (source !== 'disk') {
        const time = performance.now() - (res.locals.started as number)
        res.setHeader('Server-Timing', `${source};dur=${time.toFixed(1)}`)
      }
    }
    if (count > 0) {
      bytes[source] = (bytes[source] ?? 0) + count
      metrics.servedBytes.inc({ source }, count)
    }
  }
}

/** Of a response that is over */
function countMirrored(bytes: Partial<Record<SourceKind, number>>, metrics: Metrics, upstream: string): void {
  const sources = Object.entries(bytes)
  if (sources.length > 0) {
    metrics.mirrorRequests.inc({ upstream, result: bytes.upstream === undefined ? 'hit' : 'miss' })
  }
  for (const [source, count] of sources) {
    metrics.mirrorBytes.inc({ upstream, source }, count)
  }
}

/** Bytes of a response by where they came from; undefined where none of a blob or manifest was sent */
export function sourcesOf(res: Response): Record<string, number> | undefined {
  const sources = res.locals.sources as Record<string, number> | undefined
  return sources === undefined || Object.keys(sources).length === 0 ? undefined : sources
}

/** Header of a manifest whose blobs are on their way: bytes that are here, and bytes in all */
export function fetchingHeaders({ fetching }: Pick<FoundManifest, 'fetching'>): Record<string, string> {
  return fetching === undefined ? {} : { 'X-Ipdr-Fetching': `${fetching.here}/${fetching.size}` }
}

/**
 * Headers of a manifest that another registry could not be asked for now
 *
 * @see https://www.rfc-editor.org/rfc/rfc7234#section-5.5.1
 */
export function staleHeaders({ staleFor }: Pick<FoundManifest, 'staleFor'>): Record<string, string> {
  return staleFor === undefined
    ? {}
    : { Warning: '110 - "Response is Stale"', Age: String(Math.floor(staleFor / second)) }
}

/**
 * Adds what a client is warned of who pulls an image that is deprecated
 *
 * @param message printable ASCII without quotes and backslashes; undefined: the image is not deprecated
 * @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#warnings
 */
export function warnOfDeprecation(res: Response, message: string | undefined): void {
  if (message !== undefined) {
    res.append('Warning', `299 - "${message}"`)
  }
}
