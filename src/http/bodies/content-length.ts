import type { Request } from 'express'

/** Bytes of the body; undefined if it comes in chunks */
export function contentLength(req: Request): number | undefined {
  const length = req.get('Content-Length')
  return length === undefined ? undefined : Number(length)
}
