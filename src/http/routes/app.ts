/**
 * The app: this file puts middleware and routes in order. A request goes server.ts -> createApp -> middleware/ -> one
 * of routes/ -> registry, and back by responses/ or, if it fails, by middleware/error-handler.ts. Rooms, each of which
 * may import those after it:
 *
 * ```
 * routes/       one file for each kind of endpoint, and this one
 * middleware/   what every request passes: log, limits of URL and headers, protection of browsers, token, errors
 * responses/    what several routes answer with: ETags, ranges, lines of progress
 * ..            the server and its connections (server.ts, request-queue.ts, certificate.ts), errors as responses
 * bodies/       the bodies of requests: streamed-body.ts, whole-body.ts, and what they are read by
 * ```
 *
 * May import access, events, upkeep, registry, oci and scheduling.
 */
import express, { type Express, type Request, type RequestHandler, type Router } from 'express'
import { OciError } from '../../oci/errors.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { Events } from '../../events/events.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { PastImages } from '../../upkeep/history/past-images.ts'
import type { Maintenance } from '../../upkeep/maintenance/maintenance.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { BrowserHeaders } from '../middleware/browser-headers.ts'
import type { BrowserHosts } from '../middleware/browser-hosts.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import type { UsageLimits } from '../usage-limits.ts'
import type { BodyTurns } from '../bodies/body-turns.ts'
import { forBothVersions, type AppListener } from '../express-listener.ts'
import { guardBrowsers } from '../middleware/browsers.ts'
import { sendAsData } from '../content-headers.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import { limitUrlAndHeaders, type UrlAndHeaderLimits } from '../middleware/url-and-header-limits.ts'
import { audit } from '../middleware/audit.ts'
import { failInOrder, inOrder } from '../middleware/in-order.ts'
import { limitUsage } from '../middleware/limit-usage.ts'
import { offerLogIn } from '../middleware/offer-log-in.ts'
import { refuseLoops } from '../middleware/refuse-loops.ts'
import { refuseWrites } from '../middleware/refuse-writes.ts'
import { observeRequests } from '../middleware/request-log.ts'
import { traceRequests, type RequestTracer } from '../middleware/trace.ts'
import { administrationRoutes } from './administration.ts'
import { requireAdministrator, type TokenCheck } from '../middleware/require-administrator.ts'
import { baseRoutes, sendApiVersion } from './base.ts'
import { blobRoutes } from './blobs.ts'
import { digRoutes } from './dig.ts'
import { logInRoutes, sessionRoutes } from './log-in.ts'
import { healthRoutes, type Health } from './health.ts'
import { manifestRoutes } from './manifests.ts'
import { pastRoutes } from './past.ts'
import { referrerRoutes } from './referrers.ts'
import { RegistryRouter } from './registry-router.ts'
import { createRouter } from './router.ts'
import { tagRoutes } from './tags.ts'
import { uploadRoutes } from './uploads.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import type { Access } from '../../access/access.ts'
import type { AccessReview } from '../../access/access-review.ts'
import type { AuditLog } from '../../access/audit/audit-log.ts'
import { identify } from '../middleware/identify.ts'
import { tokenRoutes } from './token.ts'
import { adminPageRoutes, type ApplianceStatus } from './ui-administration.ts'
import type { AdminAddress } from './ui-administrators.ts'
import { uiApiRoutes } from './ui-api.ts'
import { uiRoutes } from './ui.ts'
import type { ReviewUpstreams } from './ui-upstreams.ts'

export interface AppComponents {
  access: Access
  /** What administrators see and change of it; loaded with the first call */
  accessReview: () => Promise<AccessReview>
  /** One for all ports */
  bodies: BodyMemory
  /** One for all ports */
  turns: BodyTurns
  readOnly: ReadOnlyMode
  registry: Registry
  /** Tells of the registries that are mirrored; @default there are none */
  reviewUpstreams?: ReviewUpstreams | undefined
  health: Health
  /** Undefined where there is no audit log */
  auditLog?: Pick<AuditLog, 'write'> | undefined
  /** By which this registry names itself in `Via`; undefined where it mirrors no other */
  instance?: string | undefined
  /** Undefined where nobody's requests and bytes are limited */
  usage?: UsageLimits | undefined
  /** Undefined if the appliance has no administration */
  administration?: Administration | undefined
  /** How the appliance is; @default no page shows it */
  status?: ApplianceStatus | undefined
  /** Undefined where nobody looks after repositories by pages */
  maintenance?: Maintenance | undefined
  /** Undefined where nobody can ask for earlier states */
  pastImages?: PastImages | undefined
  /** @default nobody hears of events */
  events?: Events | undefined
  metrics: Metrics
  /** Undefined where nobody collects traces */
  tracer?: RequestTracer | undefined
  log: Logger
}

export interface AppInit {
  /**
   * Who may read metrics and administer on this port; undefined if only {@link createAdminApp} answers these and health
   */
  admin?: AdminAccess | undefined
  hosts: Pick<BrowserHosts, 'has'>
  browserHeaders: BrowserHeaders
  limits: AppLimits
  /** Whether there are pages for browsers; @default false */
  ui?: boolean | undefined
  /** Where administration has a port of its own; for {@link createApp} */
  adminAddress?: (() => AdminAddress) | undefined
}

export interface AdminAccess {
  /** The admin token, which every request of the administration has to show */
  token: TokenCheck
  /** Whether metrics need the token too */
  metrics: 'token' | 'open'
}

export interface AppLimits {
  /** Size of the largest manifest that is accepted */
  maxManifestBytes: number
  /** Ranges of one request */
  maxRanges: number
  bodyRate: BodyRate
  requests: UrlAndHeaderLimits
}

/** The app of the registry's port: middleware in this order, then the routes, then the error handler */
export function createApp(components: AppComponents, init: AppInit): AppListener {
  const registry = registryRoutes(components, init)
  const others = otherRoutes(components, init)
  return createListener(components, init, 'admin token', (req, res, next) => {
    ;(isForRegistry(req) ? registry : others)(req, res, next)
  })
}

/** @throws OciError REQUEST_INVALID where the URL is none, such as `http://[::1/v2/` */
function isForRegistry(req: Request): boolean {
  try {
    return /^\/v2(?:\/|$)/.test(req.path)
  } catch (err) {
    throw new OciError('REQUEST_INVALID', { cause: err, detail: { reason: 'the URL is malformed' } })
  }
}

/** Whatever is below `/v2`. Most requests are for manifests and blobs, so these pass nothing that is not for them. */
function registryRoutes(components: AppComponents, { limits }: AppInit): RequestHandler {
  const router = new RegistryRouter()
  router.add(manifestRoutes(components, limits))
  // uploads come first: the path of a blob matches theirs too
  router.add(uploadRoutes(components, limits))
  router.add(blobRoutes(components, limits))
  router.add(tagRoutes(components))
  router.add(referrerRoutes(components))
  router.add(baseRoutes())
  const { instance, usage } = components
  return inOrder([
    ...(usage === undefined ? [] : [limitUsage(usage)]),
    identify(components),
    ...(instance === undefined ? [] : [refuseLoops(instance)]),
    refuseWrites(components),
    sendApiVersion,
    router.handle,
  ])
}

function otherRoutes(components: AppComponents, { admin, adminAddress, limits, ui = false }: AppInit): Router {
  const router = createRouter()
  if (ui) {
    router.use(uiRoutes('all'))
  }
  if (admin !== undefined) {
    useAdministration(router, components, admin, limits)
  }
  if (components.usage !== undefined) {
    router.use(limitUsage(components.usage))
  }
  router.use(tokenRoutes(components, limits))
  router.use(logInRoutes(components))
  router.use(identify(components))
  router.use(sessionRoutes(components))
  if (ui) {
    router.use(uiApiRoutes(components, { adminAddress, token: admin?.token, bodyRate: limits.bodyRate }))
  }
  router.use(digRoutes(components))
  if (components.pastImages !== undefined) {
    router.use(pastRoutes({ ...components, pastImages: components.pastImages }))
  }
  return router
}

/**
 * The app of the admin port or socket: health, metrics and administration alone, and the pages for that. Without
 * `admin` it asks for no token, which suits a socket that only one user can connect to.
 */
export function createAdminApp(components: Omit<AppComponents, 'registry'>, init: AppInit): AppListener {
  const { admin, limits, ui = false } = init
  const router = createRouter()
  // a browser reaches no socket
  if (ui && admin !== undefined) {
    router.use(uiRoutes('administration'))
    router.use(adminPageRoutes(components, { token: admin.token, bodyRate: limits.bodyRate }))
  }
  useAdministration(router, components, admin, limits)
  return createListener(components, init, admin === undefined ? 'admin socket' : 'admin token', router)
}

function useAdministration(
  router: Router,
  { access, administration, bodies, events, log, metrics, turns, ...components }: Omit<AppComponents, 'registry'>,
  admin: AdminAccess | undefined,
  { bodyRate }: AppLimits,
): void {
  const guard = admin === undefined ? [] : [requireAdministrator({ token: admin.token, access })]
  router.use(healthRoutes({ metrics, ...components }, { metricsGuard: admin?.metrics === 'open' ? [] : guard }))
  if (administration !== undefined) {
    router.use(administrationRoutes({ administration, bodies, events, log, metrics, turns }, { guard, bodyRate }))
  }
}

/** What every request passes, before the routes and after them. */
function createListener(
  components: Omit<AppComponents, 'registry'>,
  { browserHeaders, hosts, limits }: Omit<AppInit, 'admin'>,
  administrator: string,
  routes: RequestHandler,
): AppListener {
  const { auditLog, log, tracer } = components
  const handle = inOrder([
    sendAsData,
    observeRequests(components),
    limitUrlAndHeaders(limits.requests),
    ...(tracer === undefined ? [] : [traceRequests(tracer)]),
    guardBrowsers(hosts, browserHeaders),
    ...(auditLog === undefined ? [] : [audit(auditLog, { administrator })]),
    routes,
  ])
  const fail = failInOrder([offerLogIn(components), errorHandler(components)], err => {
    log.error('error not answered', { err })
  })
  return forBothVersions(expressSettings(), (req, res) => {
    handle(req, res, (err: unknown = new OciError('NOT_FOUND')) => {
      fail(err, req, res)
    })
  })
}

/** What the methods that Express gives requests and responses go by */
function expressSettings(): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', 'simple')
  return app
}
