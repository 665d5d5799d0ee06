import type { RequestHandler } from 'express'
import type { Access } from '../../access/access.ts'
import { credentialsOf } from '../credentials.ts'
import { OciError } from '../../oci/errors.ts'
import { sessionOf } from './session.ts'

export interface TokenCheck {
  matches: (given: string) => Promise<boolean>
}

/**
 * Lets pass who shows the token, or logs in as somebody whom the access rules let administer; where somebody connects
 * from says nothing of who asks
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export function requireAdministrator({ token, access }: { token: TokenCheck; access: Access }): RequestHandler {
  return async (req, _res, next) => {
    const credentials = credentialsOf(req, access, sessionOf(req, access))
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(credentials.authorization ?? '')?.[1]
    if (given !== undefined && (await token.matches(given))) {
      next()
      return
    }
    const { authorization, certificate, session } = credentials
    if (access.isClosed && (authorization ?? certificate ?? session) !== undefined) {
      const caller = await access.caller(credentials)
      caller.requireEverywhere('admin', 'this appliance')
      next()
      return
    }
    throw given === undefined
      ? unauthorized('the token of the administration is missing', 'Bearer realm="ipdr"')
      : unauthorized('this is not the token of the administration', 'Bearer realm="ipdr", error="invalid_token"')
  }
}

function unauthorized(reason: string, challenge: string): OciError {
  return new OciError('UNAUTHORIZED', { detail: { reason }, headers: { 'WWW-Authenticate': challenge } })
}
