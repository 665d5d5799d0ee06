import { setTimeout as sleep } from 'node:timers/promises'
import type { Index, IndexChange } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { EventKind } from '../../registry/event-sink.ts'
import type { RegistryEvent } from '../formats/registry-event.ts'
import { readSecrets, webhookHeaders } from './signature.ts'
import { WebhookClient } from './webhook-client.ts'
import { WebhookQueue } from './webhook-queue.ts'

/** Answers that say that this very event is no good; any other failure may be one of the receiver */
const refusals = new Set([400, 413, 422])
/** Kinds that change nothing here, so that a client can cause any number of them */
const frequentKinds: ReadonlySet<EventKind> = new Set(['pull', 'policy', 'quota'])
/** How often an event is sent that is refused by these, before the next one has its turn */
const maxRefusals = 10
/** Milliseconds after the first failure, and at most; each wait is twice the one before */
const defaultBackoff = { first: 500, max: 60_000 }

export interface WebhookComponents {
  index: Index
  metrics: Pick<Metrics, 'webhookDelivered' | 'webhookFailed' | 'webhookDropped'>
  log: Logger
  /** The body of a request, and its type */
  write: (event: RegistryEvent) => { type: string; body: string }
}

export interface WebhookInit {
  name: string
  url: URL
  kinds: ReadonlySet<EventKind>
  /** Whether events of a repository are wanted */
  matches: (repository: string) => boolean
  /** Path of the file with the secrets; undefined: events are not signed */
  secret: string | undefined
  ca: string | undefined
  /** Milliseconds that a request may take */
  timeout: number
  /** Events that wait at most; of more, the oldest are dropped */
  queue: number
  /** Milliseconds between attempts */
  backoff?: { first: number; max: number } | undefined
}

/** Sends the events that one receiver wants, one after the other in their order, each until it is taken */
export class Webhook {
  readonly #components: WebhookComponents
  readonly #init: WebhookInit
  readonly #queue: WebhookQueue
  readonly #log: Logger
  #client: WebhookClient | undefined
  #controller = new AbortController()
  #running: Promise<void> | undefined
  #wake = Promise.withResolvers<void>()
  #isDropping = false
  /** Attempts without success, since when, and what the last one came to */
  #failing: { attempts: number; since: string; reason: string } | undefined
  /** How often the oldest event was refused */
  #refused = 0

  constructor(components: WebhookComponents, init: WebhookInit) {
    this.#components = components
    this.#init = init
    this.#queue = new WebhookQueue(components, { webhook: init.name })
    this.#log = components.log.child({ webhook: init.name })
  }

  get queue(): Pick<WebhookQueue, 'count' | 'found' | 'has'> {
    return this.#queue
  }

  get state(): { waiting: number; failing: { attempts: number; since: string; reason: string } | undefined } {
    return { waiting: Math.max(0, this.#queue.count), failing: this.#failing }
  }

  start(): void {
    this.#controller = new AbortController()
    this.#client = new WebhookClient(this.#init)
    this.#running ??= this.#run(this.#client, this.#controller.signal)
    this.#dropIfFull()
  }

  async stop(): Promise<void> {
    this.#controller.abort()
    this.#wake.resolve()
    await this.#running
    this.#running = undefined
    await this.#client?.close()
    await this.#queue.idle()
  }

  wants({ kind, repository }: Pick<RegistryEvent, 'kind' | 'repository'>): boolean {
    return this.#init.kinds.has(kind) && (repository === undefined || this.#init.matches(repository))
  }

  /**
   * Queues the events that are wanted. Those of which there may be as many as there are requests, such as pulls, leave
   * half of the room to the others.
   *
   * @returns what the caller calls when the change has been made
   */
  add(change: IndexChange, events: readonly RegistryEvent[]): () => void {
    const wanted = events.filter(event => this.wants(event))
    const isBusy = this.#queue.count > this.#init.queue / 2
    const queued = isBusy ? wanted.filter(({ kind }) => !frequentKinds.has(kind)) : wanted
    if (queued.length < wanted.length) {
      this.#dropped(wanted.length - queued.length)
    }
    const ids = queued.map(({ id }) => id)
    return this.#whenAdded(this.#queue.add(change, ids))
  }

  /** Queues events once more; one that still waits stays where it is */
  async resend(change: IndexChange, ids: readonly string[]): Promise<() => void> {
    const missing: string[] = []
    for (const id of ids) {
      if (!(await this.#queue.has(id))) {
        missing.push(id)
      }
    }
    return this.#whenAdded(this.#queue.addAgain(change, missing))
  }

  #whenAdded(added: () => void): () => void {
    return () => {
      added()
      this.#wake.resolve()
      this.#dropIfFull()
    }
  }

  async #run(client: WebhookClient, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers()
      try {
        const event = await this.#queue.first()
        if (event === undefined) {
          await this.#wake.promise
        } else {
          await this.#send(event, client, signal)
        }
      } catch (err) {
        if (!signal.aborted) {
          this.#log.error('events of a webhook not read', { err })
          await this.#pause(undefined, signal)
        }
      }
    }
  }

  async #send(event: RegistryEvent, client: WebhookClient, signal: AbortSignal): Promise<void> {
    const { metrics } = this.#components
    const { name } = this.#init
    const { problem, retryAfter, status } = await this.#post(event, client, signal)
    if (signal.aborted && problem !== undefined) {
      return
    }
    if (problem === undefined) {
      await this.#queue.sent(event.id)
      metrics.webhookDelivered.inc({ webhook: name })
      this.#succeeded()
      return
    }
    metrics.webhookFailed.inc({ webhook: name })
    this.#failed(problem)
    this.#refused = refusals.has(status) ? this.#refused + 1 : 0
    if (this.#refused >= maxRefusals) {
      this.#refused = 0
      await this.#queue.sent(event.id)
      metrics.webhookDropped.inc({ webhook: name })
      this.#log.error('an event was refused too often and is not sent again', { event: event.id, reason: problem })
      return
    }
    await this.#pause(retryAfter, signal)
  }

  /** @returns what went wrong; a problem of undefined: nothing */
  async #post(
    event: RegistryEvent,
    client: WebhookClient,
    signal: AbortSignal,
  ): Promise<{ problem: string | undefined; status: number; retryAfter?: number | undefined }> {
    try {
      const { body, type } = this.#components.write(event)
      const keys = this.#init.secret === undefined ? [] : await readSecrets(this.#init.secret)
      const headers = {
        'content-type': type,
        'user-agent': 'ipdr',
        ...webhookHeaders(event.id, Date.now(), body, keys),
      }
      const { retryAfter, status } = await client.post(body, headers, signal)
      const isTaken = status >= 200 && status < 300
      return { problem: isTaken ? undefined : `status ${status}`, status, retryAfter }
    } catch (err) {
      // the message of an error may have the URL, which may have a secret
      const { code, name } = err as NodeJS.ErrnoException
      return { problem: code ?? name, status: 0 }
    }
  }

  /** @param retryAfter what the receiver asked for; seconds */
  async #pause(retryAfter: number | undefined, signal: AbortSignal): Promise<void> {
    const { first, max } = this.#init.backoff ?? defaultBackoff
    const exponent = Math.min((this.#failing?.attempts ?? 1) - 1, 20)
    // spread, so that webhooks that failed together do not come back together
    const wait = Math.max(first * 2 ** exponent * (0.75 + Math.random() / 2), (retryAfter ?? 0) * 1000)
    await sleep(Math.min(wait, max), undefined, { signal, ref: false }).catch(() => {})
  }

  #failed(reason: string): void {
    if (this.#failing === undefined) {
      this.#log.warn('a webhook fails; its events wait', { reason })
    }
    const { attempts, since } = this.#failing ?? { attempts: 0, since: new Date().toISOString() }
    this.#failing = { attempts: attempts + 1, since, reason }
  }

  #succeeded(): void {
    this.#refused = 0
    if (this.#failing !== undefined) {
      const { attempts, since } = this.#failing
      this.#failing = undefined
      this.#log.info('a webhook takes events again', { attempts, since, waiting: this.#queue.count })
    }
  }

  #dropIfFull(): void {
    const { name, queue } = this.#init
    if (this.#isDropping || this.#queue.count <= queue) {
      return
    }
    this.#isDropping = true
    void this.#queue
      .dropBeyond(queue)
      .then(
        count => {
          this.#dropped(count)
        },
        (err: unknown) => {
          this.#log.error('events beyond the queue of a webhook not dropped', { webhook: name, err })
        },
      )
      .finally(() => {
        this.#isDropping = false
      })
  }

  #dropped(count: number): void {
    if (count > 0) {
      this.#components.metrics.webhookDropped.inc({ webhook: this.#init.name }, count)
      this.#log.warn('the queue of a webhook is full: events were dropped', { count })
    }
  }
}
