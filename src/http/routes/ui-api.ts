import type { Request, Router } from 'express'
import { parseDigest } from '../../oci/digest.ts'
import { parseName, parseReference } from '../../oci/reference.ts'
import type { Maintenance, Rights } from '../../upkeep/maintenance/maintenance.ts'
import type { NamedImage } from '../../registry/overview/overview.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { callerOf } from '../middleware/identify.ts'
import { route } from '../middleware/request-log.ts'
import { clientSignal, requestOptions } from '../request-options.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { invalid } from './admin-json.ts'
import { createRouter } from './router.ts'
import {
  addAdministratorPages,
  addPageErrors,
  withoutCache,
  type AdministrationPagesComponents,
} from './ui-administration.ts'
import { administratorsOnly, type PageAdministrators } from './ui-administrators.ts'
import { otherImage, partOf, textOf } from './ui-query.ts'
import { addSession } from './ui-session.ts'
import { uiMaintenanceRoutes } from './ui-maintenance.ts'

export interface UiApiComponents extends AdministrationPagesComponents {
  /** Undefined where nobody looks after repositories here */
  maintenance?: Maintenance | undefined
  registry: Registry
}

export interface UiApiInit extends PageAdministrators {
  bodyRate: BodyRate
}

/**
 * What the pages show, as JSON. The rules decide what of it somebody sees, as they do for the registry. Errors are
 * `{"error":"<message>"}`.
 *
 * ```
 * GET /ui/api/repositories?q=&in=&from=&n=                repositories and folders of them, newest first
 * GET /ui/api/find?q=<digest or CID>                      where that is
 * GET /ui/api/tags?repository=&q=&order=&from=&n=         tags of a repository
 * GET /ui/api/image?repository=&reference=                one image
 * GET /ui/api/compare?repository=&reference=&with=        what it has in common with another
 * GET /ui/api/compare/files?repository=&reference=&with=  which files differ
 * GET /ui/api/files?repository=&reference=&layer=<digest> which files a layer has
 * ```
 *
 * Who looks is in ui-session.ts, what tells pages of changes in ui-live.ts, and what only administrators see in
 * ui-administration.ts. ui-maintenance.ts has what changes something.
 */
export function uiApiRoutes(components: UiApiComponents, init: UiApiInit): Router {
  const { access, bodies, events, maintenance, registry } = components
  const router = createRouter()
  router.use('/ui/api', withoutCache)
  addSession(router, access, init)
  addLists(router, registry, maintenance)
  addComparison(router, registry)
  if (maintenance !== undefined) {
    router.use(uiMaintenanceRoutes({ bodies, events, maintenance }, init))
  }
  addAdministratorPages(router, components, { ...init, guard: administratorsOnly(access, init) })
  addPageErrors(router, components)
  return router
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
  const imageOf = ({ query }: Request): NamedImage => ({
    repository: parseName(query['repository']),
    reference: parseReference(query['reference']),
  })
  const imagesOf = (req: Request): [NamedImage, NamedImage] => {
    const image = imageOf(req)
    return [image, otherImage(req.query['with'], image.repository)]
  }
  router
    .route('/ui/api/compare')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const images = imagesOf(req)
      const overview = await registry.overview()
      const comparison = await overview.compare(images, callerOf(res), clientSignal(res))
      res.json({ ...comparison, fileBounds: overview.files.bounds })
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/compare/files')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const images = imagesOf(req)
      const reader = requestOptions(req, res)
      const overview = await registry.overview()
      const [first, second] = await overview.contents(images, callerOf(res), reader.signal)
      res.json(await overview.files.compare(first!, second!, reader))
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/files')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const image = imageOf(req)
      const digest = parseDigest(req.query['layer'])
      const reader = requestOptions(req, res)
      const overview = await registry.overview()
      const [content] = await overview.contents([image], callerOf(res), reader.signal)
      res.json(await overview.files.layer(content!, digest, reader))
    })
    .all(onlyMethods('GET', 'HEAD'))
}

const noRights: Rights = { tag: false, delete: false, undo: false }
