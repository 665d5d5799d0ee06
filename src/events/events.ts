/**
 * `src/events` tells webhooks and scripts what happens in the registry. The registry tells this file by the interface
 * `EventSink` (src/registry/event-sink.ts) and knows no more of it. May import `registry`, `index` (types only), `oci`
 * and `scheduling`; imported by `appliance`, which builds it, and by `http`; `client` imports its types.
 *
 * - `events.ts` (begin here): takes events, gives them ids, and tells them in one order
 * - `event-log.ts`: where they are kept: in memory for those who listen, or, where webhooks are configured,
 *   `stored-event-log.ts`: in the index, in the same batch as the change of which they tell
 * - `webhooks/`: who gets them: `webhooks.ts` is all of them, `webhook.ts` one with its queue (`webhook-queue.ts`) and
 *   how a request is made (`signature.ts`, `webhook-client.ts`). With `store-events.ts`, which builds them, they are
 *   loaded only where something is configured.
 * - `formats/`: what an event looks like, here and elsewhere
 *
 * An event that comes with a change (push, delete, moved tag) is written with it, so a crash leaves both or neither.
 * Others, such as pulls, are gathered for up to a second, and a crash may lose them. An event is sent to a webhook
 * until the receiver has taken it, and the next one only then: so each arrives at least once, and all in their order.
 * Nothing of this happens where nothing is configured and nobody listens.
 */
import { raceSignal } from 'race-signal'
import type { Index, IndexChange } from '../index/index.ts'
import type { Logger } from '../log.ts'
import { OciError } from '../oci/errors.ts'
import type { EventKind, EventSink, NewEvent } from '../registry/event-sink.ts'
import { EventIds } from './event-id.ts'
import { type EventLog, MemoryEventLog } from './event-log.ts'
import type { RegistryEvent } from './formats/registry-event.ts'
import type { StoredEvents } from './store-events.ts'
import type { WebhookState } from './webhooks/webhooks.ts'

/** Milliseconds for which events are gathered that come with no change */
const gatheringTime = 1000
/** Events that are gathered before they are written anyway, and at most: the newest of more are lost */
const [manyGathered, maxGathered] = [500, 5000]
/** Events that listeners may be behind where nothing else keeps events */
const maxInMemory = 1000
const maxListeners = 100

export interface EventsComponents {
  index: Pick<Index, 'change'>
  /** What keeps events and sends them to webhooks; @default kept in memory, while somebody listens */
  stored?: Pick<StoredEvents, 'log' | 'states'> | undefined
  log: Logger
}

export interface EventsInit {
  /** Events that are taken although nobody listens */
  kinds: ReadonlySet<EventKind>
  /** By which events say that they are of this server: `//host:port` */
  source: string
}

export interface ListenOptions {
  /** The id of an event: those after it are told first */
  since?: string | undefined
  /** Whether to go on with what happens from now on */
  live: boolean
  signal: AbortSignal
}

/** What somebody listens to, until it is disposed of */
export interface Listening extends AsyncIterable<RegistryEvent>, Disposable {}

/** Events on their way into the log, in the order of their ids */
interface Batch {
  events: readonly RegistryEvent[]
  isSettled: boolean
  /** Undefined where the change failed: then nothing happened */
  added?: (() => void) | undefined
}

export class Events implements EventSink {
  readonly source: string
  readonly #index: EventsComponents['index']
  readonly #log: Logger
  /** Undefined where the events are stored */
  readonly #memory: MemoryEventLog | undefined
  readonly #events: EventLog
  readonly #stored: EventsComponents['stored']
  readonly #kinds: ReadonlySet<EventKind>
  readonly #ids = new EventIds()
  readonly #batches: Batch[] = []
  #gathered: Array<Omit<RegistryEvent, 'id'>> = []
  /** Since they were written last */
  #lost = 0
  #isFlushing = false
  #timer: NodeJS.Timeout | undefined
  #listeners = 0
  /** The newest event that has been told; listeners are told none after it */
  #told: string | undefined
  #news = Promise.withResolvers<void>()
  #controller = new AbortController()

  constructor({ index, log, stored }: EventsComponents, { kinds, source }: EventsInit) {
    this.source = source
    this.#index = index
    this.#log = log
    this.#memory = stored === undefined ? new MemoryEventLog({ max: maxInMemory }) : undefined
    this.#events = stored?.log ?? this.#memory!
    this.#stored = stored
    this.#kinds = kinds
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
    this.#told = await this.#events.start()
    if (this.#told !== undefined) {
      this.#ids.continueAfter(this.#told)
    }
  }

  /** Ends what listeners read; events are still taken */
  endListening(): void {
    this.#controller.abort()
  }

  async stop(): Promise<void> {
    this.endListening()
    await this.#flush()
    await this.#events.stop()
  }

  wants(kind: EventKind): boolean {
    return this.#listeners > 0 || this.#kinds.has(kind)
  }

  async commit(change: IndexChange, describe: () => readonly NewEvent[]): Promise<void> {
    if (this.#listeners === 0 && this.#kinds.size === 0) {
      await change.commit({ durable: true })
      return
    }
    const time = new Date().toISOString()
    const wanted = describe().filter(({ kind }) => this.wants(kind))
    await this.#write(
      change,
      wanted.map(event => ({ ...event, time })),
      { durable: true },
    )
  }

  raise(event: NewEvent): void {
    if (!this.wants(event.kind)) {
      return
    }
    if (this.#gathered.length >= maxGathered) {
      this.#lost++
      return
    }
    if (this.#gathered.length >= manyGathered && !this.#isFlushing) {
      void this.#flush()
    }
    this.#gathered.push({ ...event, time: new Date().toISOString() })
    this.#timer ??= setTimeout(() => {
      void this.#flush()
    }, gatheringTime).unref()
  }

  /**
   * What happens from now on, or first what happened since an event, without a gap between both
   *
   * @throws OciError TOOMANYREQUESTS, or REQUEST_INVALID where `since` is not kept any more
   */
  async listen(options: ListenOptions): Promise<Listening> {
    const { signal, since } = options
    if (since !== undefined && !(await this.#events.has(since))) {
      throw new OciError('REQUEST_INVALID', { detail: { reason: 'since: this event is not in the history' } })
    }
    if (this.#listeners >= maxListeners) {
      throw new OciError('TOOMANYREQUESTS', { detail: { reason: `${maxListeners} clients listen to events already` } })
    }
    this.#listeners++
    const start = since ?? (options.live ? this.#told : undefined)
    const iterator = this.#read(start, { ...options, signal: AbortSignal.any([signal, this.#controller.signal]) })
    return {
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.dispose]: () => {
        this.#listeners--
        if (this.#listeners === 0) {
          // from now on events pass unseen: nobody can be told that what is kept is all that happened
          this.#memory?.clear()
          this.#told = this.#memory === undefined ? this.#told : undefined
        }
      },
    }
  }

  /**
   * Sends events to webhooks once more
   *
   * @param webhook its name; undefined: all that want them
   * @returns how many requests that makes
   * @throws OciError REQUEST_INVALID where an event or the webhook is unknown; nothing is sent then
   */
  async resend(ids: readonly string[], webhook: string | undefined): Promise<number> {
    if (this.#stored === undefined) {
      throw new OciError('UNSUPPORTED', { detail: { reason: 'the configuration lists no webhooks' } })
    }
    return await this.#stored.log.resend(ids, webhook)
  }

  webhooks(): WebhookState[] {
    return this.#stored?.states() ?? []
  }

  async *#read(start: string | undefined, { live, signal }: ListenOptions): AsyncGenerator<RegistryEvent> {
    let last = start
    while (!signal.aborted) {
      const news = this.#news.promise
      if (last !== undefined && !(await this.#events.has(last))) {
        throw new OciError('UNAVAILABLE', { detail: { reason: 'events came faster than they were read' } })
      }
      for await (const event of this.#events.after(last)) {
        if (signal.aborted || this.#told === undefined || event.id > this.#told) {
          break
        }
        last = event.id
        yield event
      }
      if (!live) {
        return
      }
      await raceSignal(news, signal).catch(() => {})
    }
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { length } = this.#gathered
    if (length === 0) {
      return
    }
    this.#isFlushing = true
    try {
      await this.#write(this.#index.change(), [], { durable: false })
    } catch (err) {
      this.#log.error('events lost', { count: length, err })
    } finally {
      this.#isFlushing = false
    }
    if (this.#lost > 0) {
      this.#log.warn('events lost: there were too many at once', { count: this.#lost })
      this.#lost = 0
    }
  }

  /** Writes events with a change, and before them those that were gathered: they happened before */
  async #write(
    change: IndexChange,
    described: ReadonlyArray<Omit<RegistryEvent, 'id'>>,
    options: { durable: boolean },
  ): Promise<void> {
    const events = [...this.#gathered.splice(0), ...described].map(event => ({ id: this.#ids.next(), ...event }))
    const batch: Batch = { events, isSettled: false }
    this.#batches.push(batch)
    try {
      const added = this.#events.add(change, events)
      await change.commit(options)
      batch.added = added
    } finally {
      batch.isSettled = true
      this.#tell()
    }
  }

  /** In the order of the ids, in whatever order the changes were made */
  #tell(): void {
    while (this.#batches[0]?.isSettled === true) {
      const { added, events } = this.#batches.shift()!
      added?.()
      this.#told = added === undefined ? this.#told : (events.at(-1)?.id ?? this.#told)
    }
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
