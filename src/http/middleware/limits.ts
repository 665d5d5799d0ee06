import type { RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'

export interface RequestLimits {
  /** Of path and query */
  urlBytes: number
  /** Of all headers with the first line. Node sees to it for HTTP/1. */
  headerBytes: number
  headerCount: number
}

/** Refuses requests that are longer than any client sends */
export function limitRequests({ urlBytes, headerBytes, headerCount }: RequestLimits): RequestHandler {
  return (req, _res, next) => {
    if (req.url.length > urlBytes) {
      throw new OciError('URI_TOO_LONG', { detail: { maxBytes: urlBytes } })
    }
    // name, value, name, value; of HTTP/2, method and path and so on are no headers
    const count = req.rawHeaders.filter((name, i) => i % 2 === 0 && !name.startsWith(':')).length
    if (count > headerCount) {
      throw new OciError('HEADERS_TOO_LARGE', { detail: { maxHeaders: headerCount } })
    }
    if (req.httpVersionMajor > 1 && bytesOf(req.rawHeaders) > headerBytes) {
      throw new OciError('HEADERS_TOO_LARGE', { detail: { maxBytes: headerBytes } })
    }
    next()
  }
}

/** As HTTP/1 would write them: a colon and a space behind each name, a line break behind each value */
function bytesOf(rawHeaders: readonly string[]): number {
  return rawHeaders.reduce((bytes, text) => bytes + text.length + 2, 0)
}
