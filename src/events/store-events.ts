import type { Index } from '../index/index.ts'
import type { Logger } from '../log.ts'
import type { EventKind } from '../registry/event-sink.ts'
import { cloudEvent, cloudEventMediaType } from './formats/cloud-event.ts'
import type { RegistryEvent } from './formats/registry-event.ts'
import { StoredEventLog } from './stored-event-log.ts'
import { distributionEnvelope, envelopeMediaType } from './formats/distribution-envelope.ts'
import { Webhook, type WebhookComponents, type WebhookInit } from './webhooks/webhook.ts'
import { Webhooks, type WebhookState } from './webhooks/webhooks.ts'

export interface ListedWebhook extends WebhookInit {
  format: 'cloudevents' | 'distribution'
}

export interface EventSource {
  /** `host:port` of this server */
  address: string
  /** Of this process */
  instance: string
}

/** What is there where events are stored */
export interface StoredEvents {
  log: StoredEventLog
  /** What any webhook wants */
  kinds: ReadonlySet<EventKind>
  states: () => WebhookState[]
}

/** Builds all that stores events and sends them to webhooks */
export function storeEvents(
  components: { index: Index; metrics: WebhookComponents['metrics']; log: Logger },
  { history, listed, source }: { history: number; listed: readonly ListedWebhook[]; source: EventSource },
): StoredEvents {
  const byName = new Map(
    listed.map(({ format, ...init }) => [
      init.name,
      new Webhook({ ...components, write: writers[format](source) }, init),
    ]),
  )
  const kinds = listed.flatMap(({ kinds }) => [...kinds])
  const webhooks = new Webhooks({ ...components, webhooks: byName })
  return {
    log: new StoredEventLog({ ...components, webhooks }, { history }),
    kinds: new Set(kinds),
    states: () => webhooks.states(),
  }
}

const writers: Record<ListedWebhook['format'], (source: EventSource) => WebhookComponents['write']> = {
  cloudevents: source => event => ({
    type: cloudEventMediaType,
    body: JSON.stringify(cloudEvent(event, `//${source.address}`)),
  }),
  distribution:
    ({ address, instance }) =>
    (event: RegistryEvent) => ({
      type: envelopeMediaType,
      body: JSON.stringify(distributionEnvelope(event, { addr: address, instanceID: instance })),
    }),
}
