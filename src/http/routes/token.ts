import type { Request, Response, Router } from 'express'
import type { Access, TokenRequest } from '../../access/access.ts'
import { parseScopes, type Scope } from '../../access/rules/scopes.ts'
import { OciError } from '../../oci/errors.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { BodyMemory } from '../bodies/body-memory.ts'
import { credentialsOf } from '../credentials.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { tokenPath } from '../public-url.ts'
import { createRouter } from './router.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { readBody } from '../bodies/whole-body.ts'

const maxFormBytes = 128 * 1024

/**
 * Where clients get tokens: by GET with a password in `Authorization` or nothing, or by a POST of a form with a
 * password or a refresh token
 *
 * @see https://distribution.github.io/distribution/spec/auth/token/
 * @see https://distribution.github.io/distribution/spec/auth/oauth/
 */
export function tokenRoutes(
  { access, bodies, registry }: { access: Access; bodies: BodyMemory; registry: Pick<Registry, 'fallbackName'> },
  { bodyRate }: { bodyRate: BodyRate },
): Router {
  const router = createRouter()
  const answer = async (req: Request, res: Response, request: TokenRequest): Promise<void> => {
    res.set('Cache-Control', 'no-store').json(await access.token(request, credentialsOf(req, access)))
  }
  router
    .route(tokenPath)
    .all(route('token'))
    .get(async (req, res) => {
      const scopes = withFallbacks(parseScopes([req.query.scope ?? []].flat().map(String)), registry)
      await answer(req, res, { scopes, offline: req.query.offline_token === 'true' })
    })
    .post(async (req, res) => {
      using body = await readBody(req, {
        maxBytes: maxFormBytes,
        tooLarge: 'BODY_TOO_LARGE',
        rate: bodyRate,
        memory: bodies,
      })
      const form = new URLSearchParams(new TextDecoder().decode(body.bytes))
      const scopes = withFallbacks(parseScopes(form.getAll('scope')), registry)
      await answer(req, res, { scopes, offline: form.get('access_type') === 'offline', grant: grantOf(form) })
    })
    .all(onlyMethods('GET', 'POST'))
  return router
}

/**
 * Docker asks a mirror of its hub for a token for the name that it pulls, whatever the challenge says: the token is for
 * the name that it stands for here, too
 */
function withFallbacks(scopes: readonly Scope[], registry: Pick<Registry, 'fallbackName'>): Scope[] {
  return scopes.flatMap((scope): Scope[] => {
    const { actions, name, type } = scope
    const fallback = type === 'repository' && actions.includes('pull') ? registry.fallbackName(name) : undefined
    return fallback === undefined ? [scope] : [scope, { type, name: fallback, actions: ['pull'] }]
  })
}

/** @throws OciError REQUEST_INVALID */
function grantOf(form: URLSearchParams): NonNullable<TokenRequest['grant']> {
  const kind = form.get('grant_type')
  const [user, password, refreshToken] = ['username', 'password', 'refresh_token'].map(name => form.get(name))
  if (kind === 'password' && user && password) {
    return { user, password }
  }
  if (kind === 'refresh_token' && refreshToken) {
    return { refreshToken }
  }
  throw new OciError('REQUEST_INVALID', {
    detail: {
      reason: 'grant_type must be password, with username and password, or refresh_token, with refresh_token',
    },
  })
}
