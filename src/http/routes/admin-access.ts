import type { RequestHandler, Router } from 'express'
import type { Administration } from '../../upkeep/administration.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { requireJson } from './admin-json.ts'

/**
 * ```
 * POST /ipdr/v1/access {}  {} once rules, users and keys are read, or {"problem":"..."}
 * ```
 */
export function addAccessReload(router: Router, administration: Administration, guard: RequestHandler[]): void {
  router
    .route('/ipdr/v1/access')
    .all(guard)
    .post(requireJson, async (_req, res) => {
      const problem = await administration.reloadAccess()
      res.json({ problem })
    })
    .all(onlyMethods('POST'))
}
