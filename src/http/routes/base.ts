import type { Router } from 'express'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { createRouter } from './router.ts'
import { callerOf } from '../middleware/identify.ts'
import { paths } from './paths.ts'

/**
 * `GET /v2/`, by which clients find out that this is a registry; also sets the API version on every response below
 * `/v2`
 */
export function baseRoutes(): Router {
  const router = createRouter()
  router.use('/v2', (_req, res, next) => {
    res.set('Docker-Distribution-API-Version', 'registry/2.0')
    next()
  })
  router
    .route(paths.base)
    .all(route('base'))
    .get((_req, res) => {
      callerOf(res).requireLogInIfUseful()
      res.json({})
    })
    .all(onlyMethods('GET', 'HEAD'))
  return router
}
