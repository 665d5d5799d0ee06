import type { RequestHandler, Router } from 'express'
import type { ReviewedUpstream } from '../../registry/mirror/mirror-review.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { clientSignal } from '../request-options.ts'

/** Tells of every upstream */
export type ReviewUpstreams = (signal: AbortSignal) => Promise<ReviewedUpstream[]>

/**
 * What the page *Upstreams* shows, to administrators alone: `GET /ui/api/upstreams`
 *
 * @param guard lets administrators pass
 */
export function addUpstreamRoutes(router: Router, review: ReviewUpstreams, guard: RequestHandler[]): void {
  router
    .route('/ui/api/upstreams')
    .all([route('ui-api'), ...guard])
    .get(async (_req, res) => {
      res.json({ upstreams: await review(clientSignal(res)) })
    })
    .all(onlyMethods('GET', 'HEAD'))
}
