import type { RequestHandler, Router } from 'express'
import { parsePage } from '../../oci/pagination.ts'
import { parseTime } from '../../oci/time.ts'
import type { Administration, PointInTime } from '../../upkeep/administration.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { invalid, requireJson, type JsonReader } from './admin-json.ts'

const defaultLimit = 100
const maxLimit = 1000
const pointForm = 'must be the number of a state or a time such as 2026-11-30T14:00:00Z'

/**
 * What has changed, and undo. A state is a number, or a time (RFC 3339) at which it was in force. `name` is a
 * repository, or a repository and a tag.
 *
 * ```
 * GET  /ipdr/v1/history?name=app:v1&limit=100&before=42  {"changes":[{"state":41,...}],"more":false}, the newest first
 * GET  /ipdr/v1/history/tags?name=app&at=40&n=1000&last=v1  {"state":40,"tags":[{"tag":"v2","digest","cid",...}],...}
 * POST /ipdr/v1/history/forget {"name":"app"}            {"forgotten":12}: nothing of the repository can be undone
 * GET  /ipdr/v1/diff?from=40&to=42&name=app              what differs between two states; `to` defaults to now
 * POST /ipdr/v1/undo {"name":"app:v1","to":40}           what it did; `to` defaults to the state before the last change
 * ```
 */
export function addHistoryRoutes(
  router: Router,
  administration: Administration,
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  router
    .route('/ipdr/v1/history')
    .all(guard)
    .get(async ({ query }, res) => {
      const limit = numberIn('limit', query.limit, 1, maxLimit) ?? defaultLimit
      const before = numberIn('before', query.before)
      res.json(await administration.history({ name: textIn('name', query.name), limit, before }))
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route('/ipdr/v1/history/tags')
    .all(guard)
    .get(async ({ query }, res) => {
      const at = pointIn('at', query.at)
      if (at === undefined) {
        throw invalid(`at ${pointForm}`)
      }
      res.json(await administration.tagsAt(requireName(query.name), at, parsePage(query)))
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route('/ipdr/v1/history/forget')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { name } = await jsonOf(req)
      res.json({ forgotten: await administration.forget(requireName(name)) })
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/diff')
    .all(guard)
    .get(async ({ query }, res) => {
      const from = pointIn('from', query.from)
      if (from === undefined) {
        throw invalid(`from ${pointForm}`)
      }
      const [to, name] = [pointIn('to', query.to), textIn('name', query.name)]
      res.json(await administration.diff({ from, to, name }))
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route('/ipdr/v1/undo')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { name, to } = await jsonOf(req)
      const point = isState(to) ? to : timeIn('to', to)
      res.json(await administration.undo(requireName(name), point))
    })
    .all(onlyMethods('POST'))
}

function requireName(name: unknown): string {
  if (typeof name !== 'string') {
    throw invalid('name must be a repository or a repository and a tag')
  }
  return name
}

function isState(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * A state or a time in a query
 *
 * @throws OciError REQUEST_INVALID
 */
export function pointIn(name: string, value: unknown): PointInTime | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : timeIn(name, value)
}

function timeIn(name: string, value: unknown): Date | undefined {
  const time = typeof value === 'string' ? parseTime(value) : undefined
  if (value !== undefined && time === undefined) {
    throw invalid(`${name} ${pointForm}`)
  }
  return time
}

function textIn(name: string, value: unknown): string | undefined {
  if (value !== undefined && typeof value !== 'string') {
    throw invalid(`${name} must be given once`)
  }
  return value
}

function numberIn(name: string, value: unknown, min = 0, max = Number.MAX_SAFE_INTEGER): number | undefined {
  if (value === undefined) {
    return undefined
  }
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : NaN
  if (!(number >= min && number <= max)) {
    throw invalid(`${name} must be a whole number from ${min} to ${max}`)
  }
  return number
}
