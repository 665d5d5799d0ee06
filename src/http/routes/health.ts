import type { RequestHandler, Router } from 'express'
import type { Metrics } from '../../metrics.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { createRouter } from './router.ts'

export interface Health {
  /** Why the appliance is not ready for requests; undefined if it is */
  notReady: () => string | undefined
  /** What else there is to say of an appliance that is ready */
  note: () => string | undefined
}

/**
 * For monitoring: `/livez`, `/readyz`, `/metrics`, and `/health`, which clients of older IPDR programs ask for
 *
 * @param init.metricsGuard middleware that runs before metrics
 */
export function healthRoutes(
  { health, metrics }: { health: Health; metrics: Metrics },
  { metricsGuard }: { metricsGuard: RequestHandler[] },
): Router {
  const router = createRouter()
  router.get(['/livez', '/health'], route('health'), (_req, res) => {
    res.type('text/plain').send('OK\n')
  })
  router.get('/readyz', route('health'), (_req, res) => {
    const reason = health.notReady()
    res
      .status(reason === undefined ? 200 : 503)
      .type('text/plain')
      .send(`${reason ?? ['OK', health.note()].filter(Boolean).join(', ')}\n`)
  })
  router.get('/metrics', route('health'), ...metricsGuard, async (_req, res) => {
    res.type(metrics.contentType).send(await metrics.text())
  })
  router.all(['/livez', '/health', '/readyz', '/metrics'], route('health'), onlyMethods('GET', 'HEAD'))
  return router
}
