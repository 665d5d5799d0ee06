import type { Request } from 'express'
import type { Access } from '../access/access.ts'
import type { Challenge } from '../access/log-in/authenticator.ts'
import { service } from '../access/tokens/tokens.ts'
import { originOf, tokenPath } from './public-url.ts'

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
