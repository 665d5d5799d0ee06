import type { RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'
import { hasVia } from '../../oci/via.ts'

/**
 * Middleware that refuses a request that this registry has passed on to another one, and that comes back: two mirrors
 * of each other would ask each other without end
 *
 * @param instance by which this registry names itself in `Via`
 */
export function refuseLoops(instance: string): RequestHandler {
  return (req, _res, next) => {
    const { via } = req.headers
    if (via !== undefined && hasVia(via, instance)) {
      throw new OciError('LOOP_DETECTED', { detail: { reason: 'an upstream leads back to this registry' } })
    }
    next()
  }
}
