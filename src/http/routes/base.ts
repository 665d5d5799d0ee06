import type { RequestHandler } from 'express'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { RegistryRouter } from './registry-router.ts'
import { callerOf } from '../middleware/identify.ts'
import { paths } from './paths.ts'

/** For every response below `/v2` */
export const sendApiVersion: RequestHandler = (_req, res, next) => {
  res.setHeader('Docker-Distribution-API-Version', 'registry/2.0')
  next()
}

/** `GET /v2/`, by which clients find out that this is a registry */
export function baseRoutes(): RegistryRouter {
  const router = new RegistryRouter()
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
