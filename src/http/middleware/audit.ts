import type { Request, RequestHandler, Response } from 'express'
import type { AuditLog, AuditRecord } from '../../access/audit/audit-log.ts'
import type { Identity } from '../../access/rules/identity.ts'
import { observeAccess } from '../credentials.ts'
import { sourcesOf } from '../responses/provenance.ts'
import { logFields } from './request-log.ts'
import { showsAdminToken } from './require-administrator.ts'

/** What is found out about a request while it goes on */
interface Findings {
  identity?: Identity | undefined
  /** Whether a password, key or token was wrong */
  failed: boolean
  /** The user or key that it was shown for */
  claimed?: string | undefined
  /** Where the rule stands that decided last */
  rule?: string | undefined
  /** Tags that pointed at another manifest before */
  moved: string[]
}

export interface AuditInit {
  /** Who administers without a log-in: `admin socket` or `admin token` */
  administrator: string
}

/**
 * Records pulls of manifests, pushes, moves of tags, mounts, deletes, log-ins and administration, and every request
 * that was refused: when it is over, so that nobody waits for it
 */
export function audit(log: Pick<AuditLog, 'write'>, { administrator }: AuditInit): RequestHandler {
  return (req, res, next) => {
    const findings: Findings = { failed: false, moved: [] }
    res.locals.findings = findings
    observeAccess(res, {
      identified: identity => {
        findings.identity = identity
      },
      failed: claimed => {
        findings.failed = true
        findings.claimed = claimed
      },
      decided: (_question, { rule }) => {
        findings.rule = rule?.source ?? 'none'
      },
    })
    // taken now: a connection that is closed has no address
    const address = req.socket.remoteAddress
    res.once('close', () => {
      const what = actionOf(req, res, findings)
      if (what !== undefined) {
        log.write({
          ...what,
          ...whoOf(res, findings, administrator),
          address,
          forwarded: req.get('X-Forwarded-For'),
          ...whereOf(req, res),
          moved: findings.moved.length === 0 ? undefined : findings.moved,
          sources: sourcesOf(res),
          rule: findings.rule,
          status: statusOf(res),
          id: String(logFields(res)['id']),
        })
      }
    })
    next()
  }
}

/** For the push of a manifest: notes which tags it moves; undefined where there is no audit log */
export function moveListener(res: Response): ((tag: string) => void) | undefined {
  const findings = res.locals.findings as Findings | undefined
  return (
    findings &&
    (tag => {
      findings.moved.push(tag)
    })
  )
}

/** Statuses with which somebody is refused: no log-in, no rule, read-only, too much */
const refusals = new Set([401, 403, 405, 429])

function actionOf(
  req: Request,
  res: Response,
  { failed, identity, moved }: Findings,
): Pick<AuditRecord, 'action' | 'outcome'> | undefined {
  if (failed) {
    return { action: 'log-in', outcome: 'failed' }
  }
  const route = String(res.locals.route ?? 'none')
  const action = moved.length > 0 ? 'tag' : actions[`${route} ${req.method}`]?.(req, res)
  if (refusals.has(res.statusCode)) {
    // who asks for nothing in particular without a log-in is told how to log in; that is no refusal
    const isChallenge = route === 'base' && identity?.kind === 'anonymous'
    const isNothing = route === 'none' && isRead(req)
    return isChallenge || isNothing ? undefined : { action: action ?? fallbackOf(req, route), outcome: 'denied' }
  }
  const isDone = res.writableFinished && res.statusCode < 400
  return action === undefined ? undefined : { action, outcome: isDone ? 'allowed' : 'failed' }
}

function findingsOf(res: Response): Findings {
  return res.locals.findings as Findings
}

function isRead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** What a method of a route is recorded as; undefined: nothing, unless it is refused */
const actions: Record<string, (req: Request, res: Response) => string | undefined> = {
  'manifest GET': () => 'pull',
  'manifest HEAD': () => 'pull',
  'manifest PUT': () => 'push',
  'manifest DELETE': () => 'delete',
  'dig GET': () => 'pull',
  'ui-delete POST': () => 'delete',
  'ui-undo POST': () => 'undo',
  'blob DELETE': () => 'delete',
  'upload PUT': () => 'push',
  'uploads POST': ({ query }, { statusCode }) =>
    query['mount'] !== undefined && statusCode === 201 ? 'mount' : query['digest'] === undefined ? undefined : 'push',
  'token GET': () => 'log-in',
  'token POST': () => 'log-in',
  'callback GET': () => 'log-in',
  'logout POST': (_req, res) => (findingsOf(res).identity?.kind === 'anonymous' ? undefined : 'log-out'),
  'ui-access POST': () => 'admin',
  'ui-access DELETE': () => 'admin',
  ...Object.fromEntries(
    ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'].map(method => [`administration ${method}`, () => 'admin']),
  ),
}

/** Of a request that is recorded only because it was refused */
function fallbackOf(req: Request, route: string): string {
  if (route === 'health') {
    return 'admin'
  }
  if (route === 'login') {
    return 'log-in'
  }
  return isRead(req) ? 'pull' : req.method === 'DELETE' ? 'delete' : 'push'
}

function whoOf(
  res: Response,
  { claimed, failed, identity }: Findings,
  administrator: string,
): { who: string | undefined; kind: string } {
  if (failed) {
    return { who: claimed, kind: 'unknown' }
  }
  const isAdministration = res.locals.route === 'administration' && !refusals.has(res.statusCode)
  if (showsAdminToken(res) || (identity === undefined && isAdministration)) {
    return { who: administrator, kind: 'administrator' }
  }
  if (identity === undefined) {
    return { who: 'anonymous', kind: 'anonymous' }
  }
  return { who: identity.name, kind: identity.kind }
}

function whereOf(req: Request, res: Response): Record<string, string | undefined> {
  const { name, reference, digest } = (res.locals.params ?? {}) as Record<string, string | undefined>
  const { query } = req
  const from = typeof query['from'] === 'string' ? query['from'] : undefined
  const asked = res.locals.route === 'dig' && typeof query['q'] === 'string' ? query['q'] : undefined
  const found = res.getHeader('Docker-Content-Digest')
  return {
    method: req.method,
    // not req.path: a router may have taken its beginning off
    path: name === undefined ? req.originalUrl.split('?')[0] : undefined,
    repository: name,
    reference: reference ?? asked,
    digest: typeof found === 'string' ? found : digest,
    from: query['mount'] === undefined ? undefined : from,
  }
}

function statusOf(res: Response): string | number {
  return res.writableFinished ? res.statusCode : 'aborted'
}
