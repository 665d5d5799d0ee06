import type { RequestHandler, Router } from 'express'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { createRouter } from './router.ts'
import { callerOf } from '../middleware/identify.ts'
import { paths } from './paths.ts'

/** For every response below `/v2` */
export const sendApiVersion: RequestHandler = (_req, res, next) => {
  res.setHeader('Docker-Distribution-API-Version', 'registry/2.0')
  next()
}

/** `GET /v2/`, by which clients find out that this is a registry */
export function baseRoutes(): Router {
  const router = createRouter()
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
