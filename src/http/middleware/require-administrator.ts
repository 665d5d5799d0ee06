import type { Request, RequestHandler, Response } from 'express'
import type { Access } from '../../access/access.ts'
import { credentialsOf } from '../credentials.ts'
import { OciError } from '../../oci/errors.ts'
import { sessionOf } from './session.ts'

export interface TokenCheck {
  matches: (given: string) => Promise<boolean>
}

export interface AdministratorCheck {
  token: TokenCheck
  access: Access
}

/**
 * Lets pass who shows the token, or logs in as somebody whom the access rules let administer; where somebody connects
 * from says nothing of who asks
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export function requireAdministrator(components: AdministratorCheck): RequestHandler {
  return async (req, res, next) => {
    await checkAdministrator(components, req, res)
    next()
  }
}

/** @throws OciError UNAUTHORIZED, DENIED or TOOMANYREQUESTS */
export async function checkAdministrator(
  { access, token }: AdministratorCheck,
  req: Request,
  res: Response,
): Promise<void> {
  const credentials = credentialsOf(req, access, sessionOf(req, access))
  const given = bearerOf(credentials.authorization)
  if (given !== undefined && (await token.matches(given))) {
    res.locals.tokenStillMatches = async () => await token.matches(given)
    return
  }
  const { authorization, certificate, session } = credentials
  if (access.isClosed && (authorization ?? certificate ?? session) !== undefined) {
    const caller = await access.caller(credentials)
    caller.requireEverywhere('admin', 'this appliance')
    return
  }
  throw given === undefined
    ? unauthorized('the token of the administration is missing', 'Bearer realm="ipdr"')
    : unauthorized('this is not the token of the administration', 'Bearer realm="ipdr", error="invalid_token"')
}

/** The token that `Authorization` shows */
export function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1]
}

/** Whether a request was let pass because it shows the admin token */
export function showsAdminToken(res: Response): boolean {
  return res.locals.tokenStillMatches !== undefined
}

/** False where a request was let pass by a token that is not the admin token any more */
export async function tokenStillCounts(res: Response): Promise<boolean> {
  const stillMatches = res.locals.tokenStillMatches as (() => Promise<boolean>) | undefined
  return stillMatches === undefined || (await stillMatches())
}

function unauthorized(reason: string, challenge: string): OciError {
  return new OciError('UNAUTHORIZED', { detail: { reason }, headers: { 'WWW-Authenticate': challenge } })
}
