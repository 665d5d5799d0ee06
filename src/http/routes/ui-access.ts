import type { Request, RequestHandler, Router } from 'express'
import type { AccessReview, NewKey } from '../../access/access-review.ts'
import { actions, type Action } from '../../access/rules/actions.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { clientSignal } from '../request-options.ts'
import { invalid, requireJson, type JsonReader } from './admin-json.ts'
import { partOf, textOf } from './ui-query.ts'

/** Seconds */
const maxLifetime = 100 * 365 * 24 * 3600
const maxScopes = 100

/**
 * What the page *Access* shows, to administrators alone:
 *
 * ```
 * GET    /ui/api/access                                         whether there are rules, groups, issuers, counts
 * GET    /ui/api/access/users?q=&from=&n=                       users and their groups
 * GET    /ui/api/access/keys?q=&from=&n=                        API keys, newest first
 * POST   /ui/api/access/keys {"name":"ci","scopes":["a/**:pull"],"owner":"alice","lifetime":86400}
 *                                                               makes a key; its secret is in this answer alone
 * DELETE /ui/api/access/keys?name=                               revokes a key
 * GET    /ui/api/access/rules?q=&from=&n=                       the rules, as the file has them
 * GET    /ui/api/access/check?user=&repository=&action=&group=  whether the rules allow something, and which decides
 * GET    /ui/api/access/failures?q=&from=&n=                    log-ins that failed lately
 * GET    /ui/api/access/audit?q=&outcome=&before=&n=            the audit log, newest first
 * ```
 *
 * @param guard lets administrators pass
 */
export function addAccessRoutes(
  router: Router,
  accessReview: () => Promise<AccessReview>,
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  const guarded = [route('ui-access'), ...guard]
  addLists(router, accessReview, guarded)
  addKeys(router, accessReview, guarded, jsonOf)
  router
    .route('/ui/api/access/check')
    .all(guarded)
    .get(async (req, res) => {
      const [user, name, action, group] = ['user', 'repository', 'action', 'group'].map(key => textOf(req, key).trim())
      if (!isAction(action)) {
        throw invalid(`action must be one of ${actions.join(', ')}`)
      }
      const groups = group === '' ? undefined : group!.split(/[\s,]+/)
      res.json((await accessReview()).explain({ user: user!, name: name!, action, groups }))
    })
    .all(onlyMethods('GET', 'HEAD'))
}

function addLists(router: Router, accessReview: () => Promise<AccessReview>, guard: RequestHandler[]): void {
  const list = (path: string, answer: (review: AccessReview, req: Request, signal: AbortSignal) => unknown): void => {
    router
      .route(`/ui/api/access${path}`)
      .all(guard)
      .get(async (req, res) => {
        res.json(await answer(await accessReview(), req, clientSignal(res)))
      })
      .all(onlyMethods('GET', 'HEAD'))
  }
  list('', review => review.summary())
  list('/users', (review, req) => review.users(questionOf(req)))
  list('/rules', (review, req) => review.rules(questionOf(req)))
  list('/failures', (review, req) => review.failures(questionOf(req)))
  list('/audit', async (review, req, signal) => {
    const { limit } = partOf(req)
    const [search, outcome, before] = ['q', 'outcome', 'before'].map(name => textOf(req, name)) as [
      string,
      string,
      string,
    ]
    if (!/^(\d{1,20}-\d{1,15})?$/.test(before)) {
      throw invalid('before must be what an answer had as next')
    }
    return await review.audit({ search, outcome, before: before === '' ? undefined : before, limit, signal })
  })
}

function addKeys(
  router: Router,
  accessReview: () => Promise<AccessReview>,
  guard: RequestHandler[],
  jsonOf: JsonReader,
): void {
  router
    .route('/ui/api/access/keys')
    .all(guard)
    .get(async (req, res) => {
      res.json((await accessReview()).keys(questionOf(req)))
    })
    .post(requireJson, async (req, res) => {
      const wanted = newKeyOf(await jsonOf(req))
      res.status(201).json(await (await accessReview()).createKey(wanted))
    })
    .delete(async (req, res) => {
      await (await accessReview()).revokeKey(textOf(req, 'name'))
      res.status(204).end()
    })
    .all(onlyMethods('GET', 'HEAD', 'POST', 'DELETE'))
}

function questionOf(req: Request): { search: string; from: number; limit: number } {
  return { search: textOf(req, 'q'), ...partOf(req) }
}

function isAction(text: string | undefined): text is Action {
  return actions.includes(text as Action)
}

/** @throws OciError REQUEST_INVALID */
function newKeyOf({ name, scopes, owner, lifetime }: Record<string, unknown>): NewKey {
  if (typeof name !== 'string') {
    throw invalid('name must be a text')
  }
  if (
    !Array.isArray(scopes) ||
    scopes.length === 0 ||
    scopes.length > maxScopes ||
    scopes.some(scope => typeof scope !== 'string')
  ) {
    throw invalid(`scopes must be a list of 1 to ${maxScopes} texts such as team/**:pull,push`)
  }
  if (owner !== undefined && typeof owner !== 'string') {
    throw invalid('owner must be the name of a user')
  }
  if (
    lifetime !== undefined &&
    !(Number.isSafeInteger(lifetime) && Number(lifetime) >= 1 && Number(lifetime) <= maxLifetime)
  ) {
    throw invalid(`lifetime must be a whole number of seconds from 1 to ${maxLifetime}`)
  }
  return { name, scopes: scopes as string[], owner, lifetime: lifetime as number | undefined }
}
