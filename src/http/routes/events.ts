import type { Request, RequestHandler, Response, Router } from 'express'
import { cloudEvent } from '../../events/formats/cloud-event.ts'
import { isEventId } from '../../events/event-id.ts'
import type { Events } from '../../events/events.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { clientSignal } from '../request-options.ts'
import { writeBody } from '../bodies/streamed-body.ts'
import { invalid, requireJson, type JsonReader } from './admin-json.ts'

/** Milliseconds between comments, which keep proxies from closing the connection as idle */
const interval = 15_000
const maxResent = 100

/**
 * What happens here, for an operator and his scripts:
 *
 * ```
 * GET  /ipdr/v1/events?since=<id>&live=false     server-sent events, each a CloudEvent; the header Last-Event-ID counts
 *                                                as since; with live=false it ends after what is in the history
 * POST /ipdr/v1/events/resend {"ids":["<id>"],"webhook":"<name>"}
 *                                                sends events again; {"queued":<number of requests>}
 * GET  /ipdr/v1/webhooks                         {"webhooks":[{"name":"...","waiting":0,"failing":{...}}]}
 * ```
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function addEventRoutes(router: Router, events: Events, guard: RequestHandler[], jsonOf: JsonReader): void {
  router
    .route('/ipdr/v1/events')
    .all(guard)
    .get(async (req, res) => {
      await sendEvents(req, res, events)
    })
    .all(onlyMethods('GET', 'HEAD'))

  router
    .route('/ipdr/v1/events/resend')
    .all(guard)
    .post(requireJson, async (req, res) => {
      const { ids, webhook } = await jsonOf(req)
      if (!isIdList(ids)) {
        throw invalid(`ids must be a list of 1 to ${maxResent} ids of events`)
      }
      if (webhook !== undefined && typeof webhook !== 'string') {
        throw invalid('webhook must be the name of a webhook')
      }
      res.json({ queued: await events.resend(ids, webhook) })
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/webhooks')
    .all(guard)
    .get((_req, res) => {
      res.json({ webhooks: events.webhooks() })
    })
    .all(onlyMethods('GET', 'HEAD'))
}

async function sendEvents(req: Request, res: Response, events: Events): Promise<void> {
  const { live = 'true', since = req.get('Last-Event-ID') } = req.query
  if (live !== 'true' && live !== 'false') {
    throw invalid('live must be true or false')
  }
  if (since !== undefined && (typeof since !== 'string' || !isEventId(since))) {
    throw invalid('since must be the id of an event')
  }
  const signal = clientSignal(res)
  using listening = await events.listen({ since, live: live === 'true', signal })
  res.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  if (req.method === 'HEAD') {
    res.end()
    return
  }
  // a comment at once, so that the client knows that it is heard
  res.write(': events\n\n')
  const timer = setInterval(() => {
    res.write(':\n\n')
  }, interval)
  try {
    await writeBody(res, textOf(listening, events.source), signal)
  } finally {
    clearInterval(timer)
  }
  res.end()
}

async function* textOf(listening: AsyncIterable<Parameters<typeof cloudEvent>[0]>, source: string) {
  for await (const event of listening) {
    const data = JSON.stringify(cloudEvent(event, source))
    yield Buffer.from(`id: ${event.id}\nevent: ${event.kind}\ndata: ${data}\n\n`)
  }
}

function isIdList(ids: unknown): ids is string[] {
  return (
    Array.isArray(ids) &&
    ids.length > 0 &&
    ids.length <= maxResent &&
    ids.every(id => typeof id === 'string' && isEventId(id))
  )
}
