import type { RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'

export interface UrlAndHeaderLimits {
  /** Bytes of path and query */
  urlBytes: number
  /** Bytes of all headers with the request line. Over HTTP/1, Node checks this itself. */
  headerBytes: number
  headerCount: number
}

/**
 * Refuses requests with a longer URL, or more or longer headers, than any client sends. Other limits are elsewhere:
 * requests and connections of one client at a time in registry/client-limit.ts, bodies in body-memory.ts and
 * steady-body.ts.
 *
 * @throws OciError URI_TOO_LONG, HEADERS_TOO_LARGE
 */
export function limitUrlAndHeaders({ urlBytes, headerBytes, headerCount }: UrlAndHeaderLimits): RequestHandler {
  return (req, _res, next) => {
    if (req.url.length > urlBytes) {
      throw new OciError('URI_TOO_LONG', { detail: { maxBytes: urlBytes } })
    }
    // raw headers alternate names and values: most requests have so few that they need not be counted one by one
    if (req.rawHeaders.length > 2 * headerCount && countOf(req.rawHeaders) > headerCount) {
      throw new OciError('HEADERS_TOO_LARGE', { detail: { maxHeaders: headerCount } })
    }
    if (req.httpVersionMajor > 1 && bytesOf(req.rawHeaders) > headerBytes) {
      throw new OciError('HEADERS_TOO_LARGE', { detail: { maxBytes: headerBytes } })
    }
    next()
  }
}

/** Without `:method`, `:path` and so on, which HTTP/2 adds and which are not headers */
function countOf(rawHeaders: readonly string[]): number {
  return rawHeaders.filter((name, i) => i % 2 === 0 && !name.startsWith(':')).length
}

/**
 * Their size in HTTP/1: two more bytes for the colon and space after each name, and for the line break after each value
 */
function bytesOf(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((bytes, text) => bytes + text.length + 2, 0)
}
