import type { Request, RequestHandler, Response } from 'express'
import type { Access } from '../../access/access.ts'
import { OciError } from '../../oci/errors.ts'
import { refuseOtherSites } from '../middleware/browsers.ts'
import { callerOf } from '../middleware/identify.ts'
import { bearerOf, requireAdministrator, type TokenCheck } from '../middleware/require-administrator.ts'

export interface PageAdministrators {
  /** The admin token; undefined where administration has a port of its own */
  token: TokenCheck | undefined
  /** The port that administration has for itself, which has pages, too */
  adminAddress?: (() => AdminAddress) | undefined
}

export interface AdminAddress {
  /** Undefined where it is any address of the server */
  host?: string | undefined
  port: number
}

/** Whether the pages for administrators have something to show to whoever looks */
export async function mayAdminister(req: Request, res: Response, { token }: PageAdministrators): Promise<boolean> {
  if (token === undefined) {
    return false
  }
  const { identity } = callerOf(res)
  if (identity !== undefined) {
    return isAdministrator(res)
  }
  // there are no rules
  const given = bearerOf(req.get('Authorization'))
  return given !== undefined && (await token.matches(given))
}

/**
 * Where administration is, for whoever may do it there: on an open registry it is no secret, as the token is
 *
 * @returns undefined where it is on this port
 */
export function adminAddressFor(res: Response, { adminAddress }: PageAdministrators): AdminAddress | undefined {
  return callerOf(res).identity === undefined || isAdministrator(res) ? adminAddress?.() : undefined
}

function isAdministrator(res: Response): boolean {
  const caller = callerOf(res)
  return caller.identity?.kind !== 'anonymous' && caller.mayEverywhere('admin')
}

/**
 * Middleware before each route of a page for administrators: the same rules as for `/ipdr/v1`
 *
 * @throws OciError UNAUTHORIZED, DENIED
 */
export function administratorsOnly(access: Access, { token }: Pick<PageAdministrators, 'token'>): RequestHandler[] {
  if (token !== undefined) {
    return [refuseOtherSites, requireAdministrator({ token, access })]
  }
  return [
    () => {
      throw new OciError('DENIED', { detail: { reason: 'administration has a port of its own (admin.port)' } })
    },
  ]
}
