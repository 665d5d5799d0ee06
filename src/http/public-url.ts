import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Request } from 'express'
import type { Access } from '../access/access.ts'

export const tokenPath = '/auth/token'
/** Where a provider sends browsers back to, with a code that is worth a log-in in the query */
export const callbackPath = '/auth/callback'

/** The address under which the client knows this server, without a slash at the end */
export function originOf(req: Request): string {
  // a proxy that ends TLS says so; whoever claims it only sends himself elsewhere
  const isSecure = (req.socket as TLSSocket).encrypted === true || req.get('X-Forwarded-Proto') === 'https'
  const host = req.get('Host') ?? req.get(':authority') ?? ''
  const { localAddress = 'localhost', localPort } = req.socket
  const address = isIP(localAddress) === 6 ? `[${localAddress}]` : localAddress
  return `${isSecure ? 'https' : 'http'}://${/^[\w.:[\]-]{1,300}$/.test(host) ? host : `${address}:${localPort}`}`
}

/**
 * Where browsers find what is at `/` here: the place that the operator names for tokens, or else {@link originOf}. A
 * browser can't make up its host (middleware/browsers.ts).
 */
export function publicUrl(req: Request, { tokenUrl }: Pick<Access, 'tokenUrl'>): string {
  if (tokenUrl === undefined) {
    return originOf(req)
  }
  return tokenUrl.endsWith(tokenPath) ? tokenUrl.slice(0, -tokenPath.length) : new URL(tokenUrl).origin
}
