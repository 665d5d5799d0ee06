import type { Router } from 'express'
import type { Access } from '../../access/access.ts'
import { OciError } from '../../oci/errors.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { credentialsOf } from '../credentials.ts'
import { textBody } from '../error-response.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { errorHandler } from '../middleware/error-handler.ts'
import { callerOf } from '../middleware/identify.ts'
import { route } from '../middleware/request-log.ts'
import { clearCookie, readCookie, setCookie } from '../middleware/session.ts'
import { callbackPath, publicUrl } from '../public-url.ts'
import { clientSignal } from '../request-options.ts'
import { createRouter } from './router.ts'

const loginPath = '/auth/login'
const mePath = '/auth/me'
/** Of the path that a log-in leads to: it is in a cookie meanwhile */
const maxPathLength = 1000

/** By which people log in at a provider of OpenID Connect; errors are one line of text, since people read them */
export function logInRoutes({ access, ...components }: { access: Access; log: Logger; metrics: Metrics }): Router {
  const router = createRouter()
  router
    .route(loginPath)
    .all(route('login'))
    .get(async (req, res) => {
      const request = {
        issuer: textOf(req.query['issuer']),
        to: pathOf(textOf(req.query['to']) ?? mePath),
        redirectUri: `${publicUrl(req, access)}${callbackPath}`,
      }
      const { location, ticket } = await access.logIns.begin(request, credentialsOf(req, access))
      setCookie(req, res, access, 'ticket', ticket)
      res.set({ 'Cache-Control': 'no-store', Location: location }).status(302).end()
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route(callbackPath)
    .all(route('callback'))
    .get(async (req, res) => {
      const answer = {
        ticket: readCookie(req, access, 'ticket'),
        query: new URL(req.originalUrl, 'http://localhost').searchParams,
      }
      const credentials = { ...credentialsOf(req, access), signal: clientSignal(res) }
      const { session, to } = await access.logIns.finish(answer, credentials)
      clearCookie(req, res, access, 'ticket')
      setCookie(req, res, access, 'session', session)
      res.set({ 'Cache-Control': 'no-store', Location: to }).status(302).end()
    })
    .all(onlyMethods('GET', 'HEAD'))
  for (const path of [loginPath, callbackPath]) {
    router.use(path, errorHandler(components, textBody))
  }
  return router
}

/** For pages: who looks at them, and the end of a session */
export function sessionRoutes({ access }: { access: Access }): Router {
  const router = createRouter()
  router
    .route(mePath)
    .all(route('me'))
    .get((_req, res) => {
      const { identity } = callerOf(res)
      res.set('Cache-Control', 'no-store').json({
        name: identity?.name ?? 'anonymous',
        kind: identity?.kind ?? 'anonymous',
        groups: identity?.groups ?? [],
        expires: identity?.expires === undefined ? undefined : new Date(identity.expires).toISOString(),
        issuers: access.logIns.issuers,
      })
    })
    .all(onlyMethods('GET', 'HEAD'))
  router
    .route('/auth/logout')
    .all(route('logout'))
    .post((req, res) => {
      clearCookie(req, res, access, 'ticket')
      clearCookie(req, res, access, 'session')
      res.set('Cache-Control', 'no-store').status(204).end()
    })
    .all(onlyMethods('POST'))
  return router
}

/** Undefined for none, and for several */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/**
 * A path of this host, as a browser reads it
 *
 * @throws OciError REQUEST_INVALID
 */
function pathOf(to: string): string {
  const url = to.length <= maxPathLength ? URL.parse(to, 'http://localhost') : null
  const path = url === null ? '' : `${url.pathname}${url.search}${url.hash}`
  // browsers take two slashes, which `/.//` becomes, for the beginning of a host
  if (
    !to.startsWith('/') ||
    url?.origin !== 'http://localhost' ||
    path.startsWith('//') ||
    path.length > maxPathLength
  ) {
    throw new OciError('REQUEST_INVALID', { detail: { reason: 'to must be a path of this registry' } })
  }
  return path
}
