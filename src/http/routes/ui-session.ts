import type { Request, RequestHandler, Response, Router } from 'express'
import type { Access } from '../../access/access.ts'
import { OciError } from '../../oci/errors.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { callerOf } from '../middleware/identify.ts'
import { route } from '../middleware/request-log.ts'
import { checkAdministrator, type AdministratorCheck } from '../middleware/require-administrator.ts'
import { sessionOf } from '../middleware/session.ts'
import { adminAddressFor, mayAdminister, type AdminAddress, type PageAdministrators } from './ui-administrators.ts'
import { textOf } from './ui-query.ts'

/** Where a browser is asked for a name and a password, which it then sends with whatever is below `/ui/` */
export const logInPath = '/ui/log-in'

/** Who looks at the pages, and how to log in */
export interface Session {
  /** Undefined where nobody is logged in */
  name?: string | undefined
  /** Whether there is a session to end: a password is kept by the browser */
  mayLogOut: boolean
  /** Whether whoever looks may see and do what an administrator may */
  mayAdminister: boolean
  /** Whether the admin token lets administer here: where there are no rules, and on the port of the administration */
  takesToken: boolean
  /** Where administration has a port of its own: which, for whoever may know */
  adminAddress?: AdminAddress | undefined
  /** Ways to log in; empty where everybody may do everything */
  logIn: { issuer?: string | undefined; path: string }[]
}

/**
 * ```
 * GET /ui/api/session       who looks, and how to log in
 * GET /ui/log-in?to=<page>  asks for a name and a password
 * ```
 */
export function addSession(router: Router, access: Access, init: PageAdministrators): void {
  addSessionRoute(router, async (req, res) => ({
    name: userOf(res),
    mayAdminister: await mayAdminister(req, res, init),
    mayLogOut: sessionOf(req, access) !== undefined,
    takesToken: init.token !== undefined && !access.isClosed,
    adminAddress: adminAddressFor(res, init),
    logIn: access.isClosed
      ? [
          ...access.logIns.issuers.map(issuer => ({ issuer, path: `/auth/login?issuer=${issuer}` })),
          { path: logInPath },
        ]
      : [],
  }))
  addLogIn(router, (_req, res, next) => {
    if (access.isClosed && userOf(res) === undefined) {
      throw passwordNeeded()
    }
    next()
  })
}

/** The same on the port of the administration, where nobody but administrators sees anything */
export function addAdminSession(router: Router, components: AdministratorCheck): void {
  const { access } = components
  addSessionRoute(router, async (req, res) => ({
    mayAdminister: await passes(components, req, res),
    mayLogOut: false,
    takesToken: true,
    logIn: access.isClosed ? [{ path: logInPath }] : [],
  }))
  addLogIn(router, async (req, res, next) => {
    if (access.isClosed && !(await passes(components, req, res))) {
      throw passwordNeeded()
    }
    next()
  })
}

function addSessionRoute(router: Router, sessionFor: (req: Request, res: Response) => Promise<Session>): void {
  router
    .route('/ui/api/session')
    .all(route('ui-api'))
    .get(async (req, res) => {
      res.json(await sessionFor(req, res))
    })
    .all(onlyMethods('GET', 'HEAD'))
}

function addLogIn(router: Router, requirePassword: RequestHandler): void {
  router
    .route(logInPath)
    .all(route('ui-log-in'))
    .get(requirePassword, (req, res) => {
      const to = textOf(req, 'to')
      // a fragment leads nowhere but to a page of ours
      res
        .set({ 'Cache-Control': 'no-store', Location: `../#${encodeURI(to.startsWith('/') ? to : '/')}` })
        .status(302)
        .end()
    })
    .all(onlyMethods('GET', 'HEAD'))
}

function passwordNeeded(): OciError {
  return new OciError('UNAUTHORIZED', {
    detail: { reason: 'without a name and a password you see only what is for everybody, at /' },
    headers: { 'WWW-Authenticate': 'Basic realm="ipdr", charset="UTF-8"' },
  })
}

async function passes(components: AdministratorCheck, req: Request, res: Response): Promise<boolean> {
  try {
    await checkAdministrator(components, req, res)
    return true
  } catch (err) {
    if (err instanceof OciError && (err.code === 'UNAUTHORIZED' || err.code === 'DENIED')) {
      return false
    }
    throw err
  }
}

/** Undefined where nobody is logged in */
function userOf(res: Response): string | undefined {
  const { identity } = callerOf(res)
  return identity?.kind === 'anonymous' ? undefined : identity?.name
}
