import type { ErrorRequestHandler, RequestHandler, Router } from 'express'
import type { Access } from '../../access/access.ts'
import type { AccessReview } from '../../access/access-review.ts'
import { trusted } from '../../access/caller.ts'
import type { Events } from '../../events/events.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { OciError } from '../../oci/errors.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { NetworkStatus } from '../../upkeep/status/network-status.ts'
import type { StorageStatus } from '../../upkeep/status/storage-status.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import { jsonBody, textBody, toClientError } from '../error-response.ts'
import { LivePages } from '../live-pages.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import type { TokenCheck } from '../middleware/require-administrator.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { jsonReader } from './admin-json.ts'
import { createRouter } from './router.ts'
import { addAccessRoutes } from './ui-access.ts'
import { administratorsOnly } from './ui-administrators.ts'
import { addLiveRoute, type Reports } from './ui-live.ts'
import { addNetworkPage } from './ui-network.ts'
import { addAdminSession, logInPath } from './ui-session.ts'
import { addStoragePage } from './ui-storage.ts'
import { addUpstreamRoutes, type ReviewUpstreams } from './ui-upstreams.ts'

/** How the appliance is, for the pages of administrators */
export interface ApplianceStatus {
  network: Pick<NetworkStatus, 'report'>
  storage: Pick<StorageStatus, 'report'>
}

export interface AdministrationPagesComponents {
  access: Access
  accessReview: () => Promise<AccessReview>
  /** Undefined if the appliance has no administration */
  administration?: Administration | undefined
  bodies: BodyMemory
  /** Undefined where nobody hears of events: pages do not follow what happens then */
  events?: Events | undefined
  /** @default there are none */
  reviewUpstreams?: ReviewUpstreams | undefined
  status?: ApplianceStatus | undefined
  log: Logger
  metrics: Metrics
}

/** What pages ask on the port of the administration: the pages for administrators, to nobody else */
export function adminPageRoutes(
  components: AdministrationPagesComponents,
  { bodyRate, token }: { token: TokenCheck; bodyRate: BodyRate },
): Router {
  const { access } = components
  const router = createRouter()
  router.use('/ui/api', withoutCache)
  addAdminSession(router, { access, token })
  router.use('/ui/api', administratorsOnly(access, { token }), asTrusted)
  addAdministratorPages(router, components, { guard: [], bodyRate })
  addPageErrors(router, components)
  return router
}

/** @param init.guard lets administrators pass */
export function addAdministratorPages(
  router: Router,
  { access, accessReview, administration, bodies, events, log, reviewUpstreams, status }: AdministrationPagesComponents,
  { bodyRate, guard }: { guard: RequestHandler[]; bodyRate: BodyRate },
): void {
  const jsonOf = jsonReader(bodies, bodyRate)
  addAccessRoutes(router, accessReview, guard, jsonOf)
  addUpstreamRoutes(router, reviewUpstreams ?? (async () => []), guard)
  if (status !== undefined) {
    addNetworkPage(router, status.network, guard)
  }
  if (status !== undefined && administration !== undefined) {
    addStoragePage(router, { administration, jsonOf, log, storage: status.storage }, guard)
  }
  if (events !== undefined) {
    const live = new LivePages({ events, log })
    const reports: Reports =
      status === undefined
        ? {}
        : {
            network: async () => await status.network.report(),
            storage: async () => await status.storage.report(),
          }
    addLiveRoute(router, { access, live, reports }, guard)
  }
}

/** Whoever passes sees everything that these pages show */
const asTrusted: RequestHandler = (_req, res, next) => {
  res.locals.caller = trusted
  next()
}

/** Nobody but who asked may have what rules let him see */
export const withoutCache: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store')
  next()
}

export function addPageErrors(router: Router, components: { log: Logger; metrics: Metrics }): void {
  router.use('/ui/api', withoutPasswordPrompt, errorHandler(components, jsonBody))
  router.use(logInPath, errorHandler(components, textBody))
}

/** A browser that is told of Basic asks for a password by itself; the pages show how to log in instead */
const withoutPasswordPrompt: ErrorRequestHandler = (err: unknown, _req, _res, next) => {
  const { code, detail, headers } = toClientError(err)
  if (code !== 'UNAUTHORIZED') {
    next(err)
    return
  }
  const challenges = [headers['WWW-Authenticate'] ?? []].flat().filter(text => text.startsWith('Bearer '))
  next(new OciError(code, { detail, headers: { ...headers, 'WWW-Authenticate': challenges }, cause: err }))
}
