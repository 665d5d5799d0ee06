import type { RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'

/**
 * The last handler of a path: answers every method that the handlers before it do not know with 405 and the methods
 * that are allowed
 */
export function onlyMethods(...methods: string[]): RequestHandler {
  return req => {
    throw new OciError('UNSUPPORTED', { detail: { method: req.method }, headers: { Allow: methods.join(', ') } })
  }
}
