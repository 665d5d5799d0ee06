import type { Digest } from '../oci/digest.ts'
import type { Page } from '../oci/pagination.ts'

/** Something that happened to what the registry has, or to what was asked of it */
export interface EventRecord {
  /**
   * `tag`: a tag that pointed at another manifest before was moved; `policy`, `quota`: a client was refused what he
   * wanted. Another kind is added here and to `eventKinds` of
   * the configuration; whoever has the `EventSink` raises it.
   */
  kind: 'push' | 'pull' | 'delete' | 'tag' | 'policy' | 'quota' | 'repair'
  /** ISO 8601 */
  time: string
  repository?: string | undefined
  tag?: string | undefined
  digest?: Digest | undefined
  /** The manifest at which the tag pointed before */
  previous?: Digest | undefined
  mediaType?: string | undefined
  /** Bytes of the manifest */
  size?: number | undefined
  /** Of the image root, or of a block that was repaired */
  cid?: string | undefined
  /** Why it happened, where no request asked for it, or how it ended */
  reason?: string | undefined
  /** Absent where no request asked for it */
  origin?: EventOrigin | undefined
}

/** Who asked for what happened, and how */
export interface EventOrigin {
  /** Undefined where nobody is asked who he is */
  actor?: string | undefined
  /** Of the request, as in the log */
  id: string
  address?: string | undefined
  /** Scheme and host by which the client knows this server */
  url: string
  method: string
  agent?: string | undefined
}

/**
 * Events that are kept, in the order of their ids, and those that wait for a webhook. An id is text that sorts by time.
 */
export interface EventIndex {
  event: (id: string) => Promise<EventRecord | undefined>
  events: (page: Page) => AsyncIterable<{ id: string; record: EventRecord }>
  /** Ids of the events that wait for a webhook */
  waitingEvents: (webhook: string, page: Page) => AsyncIterable<string>
  isEventWaiting: (webhook: string, id: string) => Promise<boolean>
  /** All that wait for any webhook, one webhook after the other */
  allWaitingEvents: () => AsyncIterable<{ webhook: string; id: string }>
}

export interface EventChange<This> {
  putEvent: (id: string, record: EventRecord) => This
  deleteEvent: (id: string) => This
  putWaitingEvent: (webhook: string, id: string) => This
  deleteWaitingEvent: (webhook: string, id: string) => This
}
