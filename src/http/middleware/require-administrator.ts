import type { RequestHandler } from 'express'
import type { Access } from '../../access/access.ts'
import { challengeOf } from '../challenge.ts'
import { OciError } from '../../oci/errors.ts'

export interface TokenCheck {
  matches: (given: string) => Promise<boolean>
}

/**
 * Lets pass who shows the token, or the password of a user whom the access rules let administer; where somebody
 * connects from says nothing of who asks
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export function requireAdministrator({ token, access }: { token: TokenCheck; access: Access }): RequestHandler {
  return async (req, _res, next) => {
    const authorization = req.get('Authorization')
    if (access.isClosed && /^basic /i.test(authorization ?? '')) {
      const address = req.socket.remoteAddress
      const caller = await access.caller({ authorization, address, challenge: challengeOf(req, access) })
      caller.requireEverywhere('admin', 'this appliance')
      next()
      return
    }
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? '')?.[1]
    if (given === undefined) {
      throw unauthorized('the token of the administration is missing', 'Bearer realm="ipdr"')
    }
    if (!(await token.matches(given))) {
      throw unauthorized('this is not the token of the administration', 'Bearer realm="ipdr", error="invalid_token"')
    }
    next()
  }
}

function unauthorized(reason: string, challenge: string): OciError {
  return new OciError('UNAUTHORIZED', { detail: { reason }, headers: { 'WWW-Authenticate': challenge } })
}
