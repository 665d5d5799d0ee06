import type { RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'

export interface TokenCheck {
  matches: (given: string) => Promise<boolean>
}

/**
 * Lets pass who shows the token; where somebody connects from says nothing of who asks
 *
 * @see https://www.rfc-editor.org/rfc/rfc6750
 */
export function requireToken(token: TokenCheck): RequestHandler {
  return async (req, _res, next) => {
    const given = /^Bearer +([\x21-\x7e]+)$/i.exec(req.get('Authorization') ?? '')?.[1]
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
