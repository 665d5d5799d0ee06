import type { ErrorRequestHandler } from 'express'
import type { Access } from '../../access/access.ts'
import { OciError } from '../../oci/errors.ts'
import { toClientError } from '../error-response.ts'

/**
 * Tells somebody at a browser where to log in. A browser that is told of Basic would ask for a password and show
 * nothing of that.
 */
export function offerLogIn({ access }: { access: Access }): ErrorRequestHandler {
  return (err: unknown, req, _res, next) => {
    const { code, detail, headers } = toClientError(err)
    const isPage = req.method === 'GET' && /\btext\/html\b/.test(req.get('Accept') ?? '')
    const issuers = code === 'UNAUTHORIZED' && isPage ? access.logIns.issuers : []
    if (issuers.length === 0) {
      next(err)
      return
    }
    const to = encodeURIComponent(req.originalUrl)
    const challenges = [headers['WWW-Authenticate'] ?? []].flat().filter(text => text.startsWith('Bearer '))
    next(
      new OciError('UNAUTHORIZED', {
        detail: { ...detail, logIn: issuers.map(issuer => `/auth/login?issuer=${issuer}&to=${to}`) },
        headers: { ...headers, 'WWW-Authenticate': challenges },
        cause: err,
      }),
    )
  }
}
