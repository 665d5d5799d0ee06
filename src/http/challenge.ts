import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Request } from 'express'
import type { Access } from '../access/access.ts'
import type { Challenge } from '../access/authenticator.ts'
import { service } from '../access/tokens.ts'

export const tokenPath = '/auth/token'

/**
 * How a client is told to log in: where it gets a token, and that a password will do as well. Most clients take the
 * first scheme that they know, so the token goes first. Docker's engine goes through all of them, one after the other:
 * told of Basic, it would fail without a password, although it has a token.
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 */
export function challengeOf(req: Request, { tokenUrl }: Pick<Access, 'tokenUrl'>): Challenge {
  return (scope, error) => {
    const parameters = { realm: tokenUrl ?? `${originOf(req)}${tokenPath}`, service, scope, error }
    const text = Object.entries(parameters).flatMap(([name, value]) =>
      value === undefined ? [] : `${name}="${value}"`,
    )
    const isDocker = /^docker\//.test(req.get('User-Agent') ?? '')
    return { 'WWW-Authenticate': [`Bearer ${text.join(',')}`, ...(isDocker ? [] : [`Basic realm="${service}"`])] }
  }
}

/** The address under which the client knows this server */
function originOf(req: Request): string {
  // a proxy that ends TLS says so; whoever claims it only sends himself elsewhere
  const isSecure = (req.socket as TLSSocket).encrypted === true || req.get('X-Forwarded-Proto') === 'https'
  const host = req.get('Host') ?? req.get(':authority') ?? ''
  const { localAddress = 'localhost', localPort } = req.socket
  const address = isIP(localAddress) === 6 ? `[${localAddress}]` : localAddress
  return `${isSecure ? 'https' : 'http'}://${/^[\w.:[\]-]{1,300}$/.test(host) ? host : `${address}:${localPort}`}`
}
