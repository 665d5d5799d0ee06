import type { Request, Response } from 'express'
import type { EventKind, EventOrigin, EventSink } from '../../registry/event-sink.ts'
import { callerOf } from './identify.ts'
import { logFields } from './request-log.ts'
import { originOf } from '../public-url.ts'

const maxTextLength = 300

/** Who asks for what, for the events that tell of it; undefined where nobody wants to hear of such events */
export function eventOrigin(
  events: Pick<EventSink, 'wants'> | undefined,
  kinds: readonly EventKind[],
  req: Request,
  res: Response,
): EventOrigin | undefined {
  if (events === undefined || !kinds.some(kind => events.wants(kind))) {
    return undefined
  }
  return {
    actor: callerOf(res).name?.slice(0, maxTextLength),
    id: String(logFields(res)['id']),
    address: req.socket.remoteAddress,
    url: originOf(req),
    method: req.method,
    agent: req.get('User-Agent')?.slice(0, maxTextLength),
  }
}
