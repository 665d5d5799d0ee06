import type { RequestHandler, Router } from 'express'
import type { NetworkStatus } from '../../upkeep/status/network-status.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { clientSignal } from '../request-options.ts'

/**
 * What the page Network shows to administrators:
 *
 * ```
 * GET /ui/api/network   the IPFS node and its peers
 * ```
 */
export function addNetworkPage(router: Router, network: Pick<NetworkStatus, 'report'>, guard: RequestHandler[]): void {
  router
    .route('/ui/api/network')
    .all(route('ui-api'), guard)
    .get(async (_req, res) => {
      res.json(await network.report({ signal: clientSignal(res) }))
    })
    .all(onlyMethods('GET', 'HEAD'))
}
