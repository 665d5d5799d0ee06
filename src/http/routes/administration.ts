import type { RequestHandler, Router } from 'express'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { BodyTurns } from '../bodies/body-turns.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import { jsonBody } from '../error-response.ts'
import { refuseOtherSites } from '../middleware/browsers.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import { route } from '../middleware/request-log.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { jsonReader } from './admin-json.ts'
import type { Events } from '../../events/events.ts'
import { addHistoryRoutes } from './admin-history.ts'
import { addNetworkRoutes } from './admin-network.ts'
import { addAccessReload } from './admin-access.ts'
import { addReadOnlyRoutes } from './admin-read-only.ts'
import { addUpkeepRoutes } from './admin-upkeep.ts'
import { backupRoutes } from './backup.ts'
import { addEventRoutes } from './events.ts'
import { createRouter } from './router.ts'

export interface AdministrationRoutesInit {
  /** Middleware that runs before each route, such as the check of the token */
  guard: RequestHandler[]
  bodyRate: BodyRate
}

/**
 * The endpoints of the operator, `/ipdr/v1/...`: JSON in and out, errors as `{"error":"<message>"}`. They are listed in
 * admin-access.ts, admin-history.ts, admin-network.ts, admin-read-only.ts, admin-upkeep.ts, backup.ts and events.ts.
 */
export function administrationRoutes(
  {
    administration,
    bodies,
    events,
    turns,
    ...components
  }: {
    administration: Administration
    bodies: BodyMemory
    events: Events | undefined
    turns: BodyTurns
    log: Logger
    metrics: Metrics
  },
  init: AdministrationRoutesInit,
): Router {
  const { log } = components
  const { bodyRate } = init
  const guard = [route('administration'), refuseOtherSites, ...init.guard]
  const jsonOf = jsonReader(bodies, bodyRate)
  const router = createRouter()
  addNetworkRoutes(router, administration, guard, jsonOf)
  addReadOnlyRoutes(router, administration, guard, jsonOf)
  addAccessReload(router, administration, guard)
  addHistoryRoutes(router, administration, guard, jsonOf)
  addUpkeepRoutes(router, { administration, log }, guard, jsonOf)
  if (events !== undefined) {
    addEventRoutes(router, events, guard, jsonOf)
  }
  router.use(backupRoutes({ administration, log, turns }, { guard, bodyRate }))
  router.use('/ipdr/v1', errorHandler(components, jsonBody))
  return router
}
