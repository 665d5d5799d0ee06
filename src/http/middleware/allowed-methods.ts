import type { RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'

/** The last handler of a path: every method that was not answered before */
export function onlyMethods(...methods: string[]): RequestHandler {
  return req => {
    throw new OciError('UNSUPPORTED', { detail: { method: req.method }, headers: { Allow: methods.join(', ') } })
  }
}
