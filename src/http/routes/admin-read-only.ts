import type { RequestHandler, Response, Router } from 'express'
import type { Administration } from '../../upkeep/administration.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { invalid, requireJson, type JsonReader } from './admin-json.ts'

/**
 * Whether the registry takes writes:
 *
 * ```
 * GET  /ipdr/v1/read-only                             {"readOnly":true,"since":"...","reason":"...","pending":0}
 * POST /ipdr/v1/read-only {"on":true,"reason":"..."}  the same, once the writes under way have ended or 10 s are over;
 *                                                     pending is the number of those that have not
 * ```
 */
export function addReadOnlyRoutes(
  router: Router,
  administration: Administration,
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  const answer = (res: Response, pending: number): void => {
    const state = administration.readOnly()
    res.json({ readOnly: state !== undefined, ...state, pending })
  }
  router
    .route('/ipdr/v1/read-only')
    .all(guard)
    .get((_req, res) => {
      answer(res, 0)
    })
    .post(requireJson, async (req, res) => {
      const { on, reason } = await jsonOf(req)
      if (typeof on !== 'boolean') {
        throw invalid('on must be true or false')
      }
      if (reason !== undefined && (typeof reason !== 'string' || !on)) {
        throw invalid('reason must be a text, and is for on alone')
      }
      answer(res, await administration.setReadOnly(on, reason))
    })
    .all(onlyMethods('GET', 'HEAD', 'POST'))
}
