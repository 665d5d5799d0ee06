import type { ErrorRequestHandler, Response, Router } from 'express'
import type { Access } from '../../access/access.ts'
import type { AccessReview } from '../../access/access-review.ts'
import type { Events } from '../../events/events.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { OciError } from '../../oci/errors.ts'
import { parseName, parseReference } from '../../oci/reference.ts'
import type { Maintenance, Rights } from '../../upkeep/maintenance/maintenance.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { NetworkStatus } from '../../upkeep/status/network-status.ts'
import type { StorageStatus } from '../../upkeep/status/storage-status.ts'
import type { BodyMemory } from '../body-memory.ts'
import { jsonBody, textBody, toClientError } from '../error-response.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import { callerOf } from '../middleware/identify.ts'
import { route } from '../middleware/request-log.ts'
import { sessionOf } from '../middleware/session.ts'
import { LivePages } from '../live-pages.ts'
import { clientSignal } from '../request-options.ts'
import type { BodyRate } from '../steady-body.ts'
import { invalid, jsonReader } from './admin-json.ts'
import { createRouter } from './router.ts'
import { addAccessRoutes } from './ui-access.ts'
import { addLiveRoute, type Reports } from './ui-live.ts'
import { addNetworkPage } from './ui-network.ts'
import { addStoragePage } from './ui-storage.ts'
import { administratorsOnly, mayAdminister, type PageAdministrators } from './ui-administrators.ts'
import { otherImage, partOf, textOf } from './ui-query.ts'
import { addUpstreamRoutes, type ReviewUpstreams } from './ui-upstreams.ts'
import { uiMaintenanceRoutes } from './ui-maintenance.ts'

/** Where a browser is asked for a name and a password, which it then sends with whatever is below `/ui/` */
const logInPath = '/ui/log-in'

/** How the appliance is, for the pages of administrators */
export interface ApplianceStatus {
  network: Pick<NetworkStatus, 'report'>
  storage: Pick<StorageStatus, 'report'>
}

export interface UiApiComponents {
  access: Access
  accessReview: () => Promise<AccessReview>
  /** Undefined if the appliance has no administration */
  administration?: Administration | undefined
  bodies: BodyMemory
  /** Undefined where nobody hears of events: pages do not follow what happens then */
  events?: Events | undefined
  /** Undefined where nobody looks after repositories here */
  maintenance?: Maintenance | undefined
  registry: Registry
  /** @default there are none */
  reviewUpstreams?: ReviewUpstreams | undefined
  status?: ApplianceStatus | undefined
  log: Logger
  metrics: Metrics
}

export interface UiApiInit extends PageAdministrators {
  bodyRate: BodyRate
}

/**
 * What the pages show, as JSON. The rules decide what of it somebody sees, as they do for the registry. Errors are
 * `{"error":"<message>"}`.
 *
 * ```
 * GET /ui/api/session                                     who looks, and how to log in
 * GET /ui/api/repositories?q=&in=&from=&n=                repositories and folders of them, newest first
 * GET /ui/api/find?q=<digest or CID>                      where that is
 * GET /ui/api/tags?repository=&q=&order=&from=&n=         tags of a repository
 * GET /ui/api/image?repository=&reference=                one image
 * GET /ui/api/compare?repository=&reference=&with=        what it has in common with another
 * GET /ui/log-in?to=<page>                                asks for a name and a password
 * ```
 *
 * What tells pages of changes is in ui-live.ts, and what only administrators see in ui-access.ts, ui-network.ts,
 * ui-storage.ts and ui-upstreams.ts. ui-maintenance.ts has what changes something.
 */
export function uiApiRoutes(components: UiApiComponents, init: UiApiInit): Router {
  const { access, bodies, events, log, maintenance, metrics, registry } = components
  const router = createRouter()
  router.use('/ui/api', (_req, res, next) => {
    res.setHeader('Cache-Control', 'no-store')
    next()
  })
  addSession(router, access, init)
  addLists(router, registry, maintenance)
  addComparison(router, registry)
  if (maintenance !== undefined) {
    router.use(uiMaintenanceRoutes({ bodies, events, maintenance }, init))
  }
  addAdministratorPages(router, components, init)
  router.use('/ui/api', withoutPasswordPrompt, errorHandler({ log, metrics }, jsonBody))
  router.use(logInPath, errorHandler({ log, metrics }, textBody))
  return router
}

function addAdministratorPages(
  router: Router,
  { access, accessReview, administration, bodies, events, log, reviewUpstreams, status }: UiApiComponents,
  init: UiApiInit,
): void {
  const guard = administratorsOnly(access, init)
  const jsonOf = jsonReader(bodies, init.bodyRate)
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

function addSession(router: Router, access: Access, init: PageAdministrators): void {
  router
    .route('/ui/api/session')
    .all(route('ui-api'))
    .get(async (req, res) => {
      res.json({
        name: userOf(res),
        mayAdminister: await mayAdminister(req, res, init),
        // who logged in by a password can't be logged out: the browser keeps it
        mayLogOut: sessionOf(req, access) !== undefined,
        logIn: access.isClosed
          ? [
              ...access.logIns.issuers.map(issuer => ({ issuer, path: `/auth/login?issuer=${issuer}` })),
              { path: logInPath },
            ]
          : [],
      })
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route(logInPath)
    .all(route('ui-log-in'))
    .get((req, res) => {
      if (access.isClosed && userOf(res) === undefined) {
        throw new OciError('UNAUTHORIZED', {
          detail: { reason: 'without a name and a password you see only what is for everybody, at /' },
          headers: { 'WWW-Authenticate': 'Basic realm="ipdr", charset="UTF-8"' },
        })
      }
      const to = textOf(req, 'to')
      // a fragment leads nowhere but to a page of ours
      res
        .set({ 'Cache-Control': 'no-store', Location: `../#${encodeURI(to.startsWith('/') ? to : '/')}` })
        .status(302)
        .end()
    })
    .all(onlyMethods('GET', 'HEAD'))
}

function addLists(router: Router, registry: Registry, maintenance: Maintenance | undefined): void {
  router
    .route('/ui/api/repositories')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const question = { search: textOf(req, 'q'), folder: textOf(req, 'in'), ...partOf(req) }
      res.json(await (await registry.overview()).repositories(question, callerOf(res), clientSignal(res)))
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/find')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const places = await (await registry.overview()).find(textOf(req, 'q'), callerOf(res), clientSignal(res))
      if (places === undefined) {
        throw invalid('q must be a digest or a CID')
      }
      res.json({ places })
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/tags')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const question = {
        repository: parseName(req.query['repository']),
        search: textOf(req, 'q'),
        order: textOf(req, 'order') === 'name' ? ('name' as const) : ('newest' as const),
        ...partOf(req),
      }
      const caller = callerOf(res)
      const { items, ...rest } = await (await registry.overview()).tags(question, caller, clientSignal(res))
      const may = (tag?: string): Rights => maintenance?.rights(question.repository, caller, tag) ?? noRights
      res.json({
        items: items.map(item => ({
          ...item,
          mayDelete: may(item.tag).delete,
          isImmutable: maintenance?.isImmutable(question.repository, item.tag) ?? false,
        })),
        ...rest,
        may: may(),
      })
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/image')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const repository = parseName(req.query['repository'])
      const reference = parseReference(req.query['reference'])
      const caller = callerOf(res)
      const image = await (await registry.overview()).image(repository, reference, caller, clientSignal(res))
      res.json({ ...image, may: maintenance?.rights(repository, caller, reference.tag) ?? noRights })
    })
    .all(onlyMethods('GET', 'HEAD'))
}

function addComparison(router: Router, registry: Registry): void {
  router
    .route('/ui/api/compare')
    .all(route('ui-api'))
    .get(async ({ query }, res) => {
      const repository = parseName(query['repository'])
      const first = { repository, reference: parseReference(query['reference']) }
      const second = otherImage(query['with'], repository)
      const overview = await registry.overview()
      res.json(await overview.compare(first, second, callerOf(res), clientSignal(res)))
    })
    .all(onlyMethods('GET', 'HEAD'))
}

const noRights: Rights = { tag: false, delete: false, undo: false }

/** Undefined where nobody is logged in */
function userOf(res: Response): string | undefined {
  const { identity } = callerOf(res)
  return identity?.kind === 'anonymous' ? undefined : identity?.name
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
