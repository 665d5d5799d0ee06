import type { RequestHandler } from 'express'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'

const writes = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

/**
 * Refuses what changes something while the registry is read-only, and counts what is under way
 *
 * @throws OciError UNSUPPORTED
 */
export function refuseWrites({ readOnly }: { readOnly: Pick<ReadOnlyMode, 'begin'> }): RequestHandler {
  return (req, res, next) => {
    if (writes.has(req.method)) {
      const write = readOnly.begin()
      // a connection that is closed later, after the rest of a body, writes nothing any more
      for (const event of ['finish', 'close']) {
        res.once(event, () => {
          write[Symbol.dispose]()
        })
      }
    }
    next()
  }
}
