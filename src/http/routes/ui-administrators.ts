import type { Request, RequestHandler, Response } from 'express'
import type { Access } from '../../access/access.ts'
import { OciError } from '../../oci/errors.ts'
import { refuseOtherSites } from '../middleware/browsers.ts'
import { callerOf } from '../middleware/identify.ts'
import { requireAdministrator, type TokenCheck } from '../middleware/require-administrator.ts'

export interface PageAdministrators {
  /** The admin token; undefined where administration has a port of its own, so that pages show nothing of it */
  token: TokenCheck | undefined
}

/** Whether the pages for administrators have something to show to whoever looks */
export async function mayAdminister(req: Request, res: Response, { token }: PageAdministrators): Promise<boolean> {
  if (token === undefined) {
    return false
  }
  const caller = callerOf(res)
  if (caller.identity !== undefined) {
    return caller.identity.kind !== 'anonymous' && caller.mayEverywhere('admin')
  }
  // there are no rules
  const given = /^Bearer +([\x21-\x7e]+)$/i.exec(req.get('Authorization') ?? '')?.[1]
  return given !== undefined && (await token.matches(given))
}

/**
 * Middleware before each route of a page for administrators: the same rules as for `/ipdr/v1`
 *
 * @throws OciError UNAUTHORIZED, DENIED
 */
export function administratorsOnly(access: Access, { token }: PageAdministrators): RequestHandler[] {
  if (token !== undefined) {
    return [refuseOtherSites, requireAdministrator({ token, access })]
  }
  return [
    () => {
      throw new OciError('DENIED', { detail: { reason: 'administration has a port of its own (admin.port)' } })
    },
  ]
}
