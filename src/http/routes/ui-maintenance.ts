import type { Request, Response, Router } from 'express'
import { parseDigest } from '../../oci/digest.ts'
import { parseName, parseTag } from '../../oci/reference.ts'
import { maxTags, type Maintenance } from '../../upkeep/maintenance/maintenance.ts'
import type { Events } from '../../events/events.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { eventOrigin } from '../middleware/event-origin.ts'
import { callerOf } from '../middleware/identify.ts'
import { route } from '../middleware/request-log.ts'
import { clientSignal } from '../request-options.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { invalid, jsonReader, requireJson, type JsonReader } from './admin-json.ts'
import { createRouter } from './router.ts'

/** Bytes: as many tags as can be told apart at once, each as long as a tag may be */
const maxBodyBytes = 128 * 1024
const [defaultLimit, maxLimit] = [50, 100]
/** Tags of one request that the audit log names */
const maxNoted = 20

interface Components {
  maintenance: Maintenance
  bodies: BodyMemory
  events?: Events | undefined
}

/**
 * What the pages ask for those who look after repositories. The rules decide who may, as they do for pushes and
 * deletes; a browser has to say that a page of this server asks (middleware/browsers.ts). To set or move a tag, the
 * pages push the manifest, as clients do it.
 *
 * ```
 * GET  /ui/api/move?repository=&tag=&digest=             what becomes of a tag that is to lead to an image
 * POST /ui/api/delete {"repository":"app","tags":["v1"],"images":true,"dryRun":true}    what goes, and what that frees
 * GET  /ui/api/history?repository=&tag=&before=&n=       what has changed, the newest first
 * GET  /ui/api/differences?repository=&from=&to=         what differs between two states
 * POST /ui/api/undo {"repository":"app","tags":["v1"],"to":40,"known":41}    makes them as they were
 * ```
 */
export function uiMaintenanceRoutes(
  { bodies, events, maintenance }: Components,
  { bodyRate }: { bodyRate: BodyRate },
): Router {
  const router = createRouter()
  const jsonOf = jsonReader(bodies, bodyRate, maxBodyBytes)
  addReading(router, maintenance)
  router
    .route('/ui/api/delete')
    .all(route('ui-api'))
    .post(requireJson, async (req, res) => {
      const { dryRun = false, images = true, ...body } = await jsonOf(req)
      if (typeof dryRun !== 'boolean' || typeof images !== 'boolean') {
        throw invalid('dryRun and images must be true or false')
      }
      const init = { repository: parseName(body['repository']), tags: tagsIn(body['tags']), images, dryRun }
      noteTarget(res, dryRun ? 'ui-api' : 'ui-delete', init)
      const origin = eventOrigin(events, ['delete'], req, res)
      res.json(await maintenance.delete(init, callerOf(res), { origin, signal: clientSignal(res) }))
    })
    .all(onlyMethods('POST'))
  addUndo(router, { events, maintenance }, jsonOf)
  return router
}

function addReading(router: Router, maintenance: Maintenance): void {
  router
    .route('/ui/api/move')
    .all(route('ui-api'))
    .get(async ({ query }, res) => {
      const [tag, digest] = [parseTag(query['tag']), parseDigest(query['digest'])]
      res.json(await maintenance.move(parseName(query['repository']), tag, digest, callerOf(res)))
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/history')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const { query } = req
      const init = {
        repository: parseName(query['repository']),
        tag: query['tag'] === undefined ? undefined : parseTag(query['tag']),
        before: numberIn(req, 'before'),
        limit: Math.min(numberIn(req, 'n') ?? defaultLimit, maxLimit),
      }
      res.json(await maintenance.history(init, callerOf(res)))
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/ui/api/differences')
    .all(route('ui-api'))
    .get(async (req, res) => {
      const from = numberIn(req, 'from')
      if (from === undefined) {
        throw invalid('from must be a state')
      }
      const repository = parseName(req.query['repository'])
      res.json(await maintenance.diff(repository, from, numberIn(req, 'to'), callerOf(res)))
    })
    .all(onlyMethods('GET', 'HEAD'))
}

function addUndo(
  router: Router,
  { events, maintenance }: Pick<Components, 'events' | 'maintenance'>,
  jsonOf: JsonReader,
): void {
  router
    .route('/ui/api/undo')
    .all(route('ui-api'))
    .post(requireJson, async (req, res) => {
      const body = await jsonOf(req)
      const tags = body['tags'] === undefined ? undefined : tagsIn(body['tags'])
      const [to, known] = [stateIn(body, 'to'), stateIn(body, 'known')]
      const origin = eventOrigin(events, ['delete', 'push', 'tag'], req, res)
      const repository = parseName(body['repository'])
      noteTarget(res, 'ui-undo', { repository, tags })
      res.json(await maintenance.undo({ repository, tags, to, known }, callerOf(res), origin))
    })
    .all(onlyMethods('POST'))
}

/** For metrics and the audit log */
function noteTarget(
  res: Response,
  name: string,
  { repository, tags = [] }: { repository: string; tags?: readonly string[] | undefined },
): void {
  const more = tags.length - maxNoted
  const reference = `${tags.slice(0, maxNoted).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  res.locals.route = name
  res.locals.params = { name: repository, reference: reference === '' ? undefined : reference }
}

/** @throws OciError REQUEST_INVALID, TAG_INVALID */
function tagsIn(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxTags) {
    throw invalid(`tags must be a list of 1 to ${maxTags} tags`)
  }
  return [...new Set(value.map(tag => parseTag(tag)))]
}

/** @throws OciError REQUEST_INVALID */
function stateIn(body: Record<string, unknown>, name: string): number | undefined {
  const value = body[name]
  if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= 0)) {
    throw invalid(`${name} must be the number of a state`)
  }
  return value as number | undefined
}

/** @throws OciError REQUEST_INVALID */
function numberIn({ query }: Request, name: string): number | undefined {
  const text = query[name]
  if (text !== undefined && !(typeof text === 'string' && /^\d{1,15}$/.test(text))) {
    throw invalid(`${name} must be a whole number`)
  }
  return text === undefined ? undefined : Number(text)
}
