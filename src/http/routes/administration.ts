import type { Request, RequestHandler, Router } from 'express'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { parseMediaType } from '../../oci/media-types.ts'
import { OciError } from '../../oci/errors.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { BodyMemory } from '../body-memory.ts'
import { clientSignal } from '../request-options.ts'
import { refuseOtherSites } from '../middleware/browsers.ts'
import { jsonBody } from '../error-response.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { sendProgress } from '../responses/progress-lines.ts'
import { createRouter } from './router.ts'
import { backupRoutes } from './backup.ts'
import type { BodyRate } from '../steady-body.ts'
import { readBody } from '../whole-body.ts'

export interface AdministrationRoutesInit {
  /** What comes before each */
  guard: RequestHandler[]
  bodyRate: BodyRate
}

const second = 1000
const maxBodyBytes = 16 * 1024

/**
 * For the operator: JSON in and out, errors as `{"error":"<message>"}`.
 *
 * ```
 * GET  /ipdr/v1/peers                    {"peers":[...]}
 * POST /ipdr/v1/peers {"address":"..."}  connects; {"peer":"<id>"}
 * GET  /ipdr/v1/resolve?name=<name>      {"name":"...","cid":"...","path":[...],"ttl":<seconds>}
 * POST /ipdr/v1/publish                  {"name":"k51...","cid":"..."}
 * POST /ipdr/v1/gc {"dryRun":false}      lines of JSON: {"progress":{...}} about once a second, then {"result":{...}} or {"error":"..."};
 *                                        "grace": seconds after which what nothing needs goes, where that is less than usual
 * POST /ipdr/v1/fsck {"repair":true,"rate":52428800}   the same lines; the rate is bytes a second, 0 for no limit
 * POST /ipdr/v1/rebuild {"waive":false}  the same lines; restores an index that was lost, or has it count as complete as it is
 * ```
 */
export function administrationRoutes(
  {
    administration,
    bodies,
    ...components
  }: { administration: Administration; bodies: BodyMemory; log: Logger; metrics: Metrics },
  init: AdministrationRoutesInit,
): Router {
  const router = createRouter()
  const { bodyRate } = init
  const guard = [route('administration'), refuseOtherSites, ...init.guard]
  const jsonOf = async (req: Request): Promise<Record<string, unknown>> => {
    using body = await readBody(req, {
      maxBytes: maxBodyBytes,
      tooLarge: 'BODY_TOO_LARGE',
      rate: bodyRate,
      memory: bodies,
    })
    return parseBody(body.bytes)
  }
  router
    .route('/ipdr/v1/peers')
    .all(guard)
    .get((_req, res) => {
      res.json({ peers: administration.peers() })
    })
    .post(requireJson, async (req, res) => {
      const signal = clientSignal(res)
      const { address } = await jsonOf(req)
      if (typeof address !== 'string') {
        throw invalid('address must be a multiaddr')
      }
      res.json({ peer: await administration.connect(address, { signal }) })
    })
    .all(onlyMethods('GET', 'HEAD', 'POST'))

  router
    .route('/ipdr/v1/resolve')
    .all(guard)
    .get(async (req, res) => {
      const { name } = req.query
      if (typeof name !== 'string' || name === '') {
        throw invalid("Required parameter 'name' missing")
      }
      res.json({ name, ...(await administration.resolve(name, { signal: clientSignal(res) })) })
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route('/ipdr/v1/publish')
    .all(guard)
    .post(requireJson, async (_req, res) => {
      res.json(await administration.publish())
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/gc')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { dryRun = false, grace } = await jsonOf(req)
      if (typeof dryRun !== 'boolean') {
        throw invalid('dryRun must be true or false')
      }
      if (grace !== undefined && (typeof grace !== 'number' || grace < 0)) {
        throw invalid('grace must be a number of seconds')
      }
      await sendProgress(
        res,
        components.log,
        async onProgress =>
          await administration.collect({ dryRun, grace: grace === undefined ? undefined : grace * second, onProgress }),
      )
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/fsck')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { repair = true, rate } = await jsonOf(req)
      if (rate !== undefined && (typeof rate !== 'number' || rate < 0)) {
        throw invalid('rate must be a number of bytes a second')
      }
      if (typeof repair !== 'boolean') {
        throw invalid('repair must be true or false')
      }
      await sendProgress(
        res,
        components.log,
        async onProgress => await administration.fsck({ repair, rate, onProgress }),
      )
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/rebuild')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { waive = false } = await jsonOf(req)
      if (typeof waive !== 'boolean') {
        throw invalid('waive must be true or false')
      }
      await (waive ? administration.waiveRebuild() : undefined)
      await sendProgress(res, components.log, async onProgress => await administration.rebuild({ onProgress }))
    })
    .all(onlyMethods('POST'))
  router.use(backupRoutes({ administration, log: components.log }, { guard, bodyRate }))
  router.use('/ipdr/v1', errorHandler(components, jsonBody))
  return router
}

/** No form of a web page can send this type without asking first */
const requireJson: RequestHandler = (req, _res, next) => {
  if (parseMediaType(req.get('Content-Type')) !== 'application/json') {
    throw invalid('Content-Type must be application/json')
  }
  next()
}

function parseBody(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (err) {
    throw new OciError('REQUEST_INVALID', { detail: { reason: 'the body is not JSON' }, cause: err })
  }
}

function invalid(reason: string): OciError {
  return new OciError('REQUEST_INVALID', { detail: { reason } })
}
