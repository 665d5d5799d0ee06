import type { Request, RequestHandler, Response, Router } from 'express'
import type { Access } from '../../access/access.ts'
import type { LivePages } from '../live-pages.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { OciError } from '../../oci/errors.ts'
import { callerOf } from '../middleware/identify.ts'
import { route } from '../middleware/request-log.ts'
import { tokenStillCounts } from '../middleware/require-administrator.ts'
import { clientSignal } from '../request-options.ts'
import { invalid } from './admin-json.ts'

const second = 1000
/** Between two looks whether a page has something new to show */
const interval = 2 * second
/** Changes that come together are told together; milliseconds */
const settleTime = 300
/** Looks without news until a comment is sent, which keeps proxies from closing the connection as idle */
const quietLooks = 7
/** A page asks anew after this, with what it may see then */
const lifetime = 15 * 60 * second
/** Repositories that are named at a time; of more, the page asks for everything again */
const maxNamed = 50

/** What a page for administrators shows, by its name */
export type Reports = Readonly<Record<string, () => Promise<unknown>>>

export interface LiveComponents {
  access: Pick<Access, 'revision'>
  live: LivePages
  reports: Reports
}

/**
 * What a page follows while somebody looks at it, as server-sent events:
 *
 * ```
 * GET /ui/api/live?of=network    event: ready   the server listens: what was asked for before may be outdated
 *                                event: images  {"repositories":["team/app"]}, which have changed; none: any may have
 *                                event: report  with `of`, for administrators: what that page shows, where it is new
 * ```
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function addLiveRoute(router: Router, components: LiveComponents, guard: RequestHandler[]): void {
  const guardReports = guard.map(
    (handler): RequestHandler =>
      (req, res, next) =>
        req.query['of'] === undefined ? next() : handler(req, res, next),
  )
  router
    .route('/ui/api/live')
    .all(route('ui-live'))
    .get(requireKnown(components.reports), ...guardReports, async (req, res) => {
      await follow(req, res, components)
    })
    .all(onlyMethods('GET'))
}

function requireKnown(reports: Reports): RequestHandler {
  return ({ query: { of } }, _res, next) => {
    if (of !== undefined && (typeof of !== 'string' || !Object.hasOwn(reports, of))) {
      throw invalid('of must be the name of a page that can be followed')
    }
    next()
  }
}

async function follow(req: Request, res: Response, { access, live, reports }: LiveComponents): Promise<void> {
  const { of } = req.query
  const { revision } = access
  const gather = typeof of === 'string' ? reports[of] : undefined
  const report =
    gather &&
    (async () => {
      if (!(await tokenStillCounts(res))) {
        throw new OciError('UNAUTHORIZED')
      }
      return await live.report(String(of), gather)
    })
  const caller = callerOf(res)
  const ended = Promise.withResolvers<void>()
  clientSignal(res).addEventListener('abort', () => {
    ended.resolve()
  })
  const changed = new ChangedRepositories()
  let soon: NodeJS.Timeout | undefined
  using _viewer = await live.open({
    changed: repository => {
      if (repository === undefined || caller.sees(repository)) {
        changed.add(repository)
        soon ??= setTimeout(look, settleTime)
      }
    },
    end: ended.resolve,
  })
  const tick = ticker(res, changed, report)
  const look = (): void => {
    soon = undefined
    // what a report fails with is told to who asks for it by itself
    access.revision === revision ? tick().catch(ended.resolve) : ended.resolve()
  }
  const timers = [setInterval(look, interval), setTimeout(ended.resolve, lifetime)]
  try {
    res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' })
    send(res, 'ready', '{}')
    look()
    await ended.promise
  } finally {
    for (const timer of [...timers, soon]) {
      clearTimeout(timer)
    }
  }
  res.end()
}

/** Sends what is new since the last call; nothing while the client has not read what was sent before */
function ticker(
  res: Response,
  changed: ChangedRepositories,
  report: (() => Promise<string>) | undefined,
): () => Promise<void> {
  let last: string | undefined
  let quiet = 0
  let isBusy = false
  return async () => {
    if (isBusy || res.writableNeedDrain) {
      return
    }
    isBusy = true
    try {
      quiet++
      const repositories = changed.take()
      if (repositories !== undefined) {
        send(res, 'images', JSON.stringify({ repositories }))
        quiet = 0
      }
      const next = await report?.()
      if (next !== last && next !== undefined) {
        last = next
        send(res, 'report', next)
        quiet = 0
      }
      if (quiet >= quietLooks) {
        res.write(':\n\n')
        quiet = 0
      }
    } finally {
      isBusy = false
    }
  }
}

/** Repositories that have changed since they were told last */
class ChangedRepositories {
  #names: Set<string> | undefined
  #areAll = false

  add(repository: string | undefined): void {
    this.#names ??= new Set()
    this.#areAll ||= repository === undefined || this.#names.size >= maxNamed
    if (repository !== undefined && !this.#areAll) {
      this.#names.add(repository)
    }
  }

  /** @returns undefined where nothing has changed; an empty list where any may have */
  take(): string[] | undefined {
    const names = this.#names && (this.#areAll ? [] : [...this.#names])
    this.#names = undefined
    this.#areAll = false
    return names
  }
}

function send(res: Response, event: string, data: string): void {
  if (!res.writableEnded && !res.destroyed) {
    res.write(`event: ${event}\ndata: ${data}\n\n`)
  }
}
