import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../../config/schema.ts'
import { eventKinds } from '../../config/webhooks.ts'
import { Events } from '../../events/events.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { StartInputs } from '../checks/start-inputs.ts'
import { part, type Part } from './part.ts'

const defaultHistory = 10_000

/** What tells webhooks and scripts what happens */
export interface EventParts {
  events: Events
  parts: Part[]
}

export function buildEvents({
  config,
  index,
  inputs: { webhooks },
  metrics,
  ...components
}: {
  config: Config
  index: Index
  inputs: Pick<StartInputs, 'webhooks'>
  metrics: Metrics
  log: Logger
}): EventParts {
  const log = components.log.child({ module: 'events' })
  const source = { address: `${hostname()}:${config.port}`, instance: randomUUID() }
  const { history } = config.events
  const stored = webhooks?.storeEvents(
    { index, metrics, log },
    { history: history ?? defaultHistory, listed: webhooks.listed, source },
  )
  if (stored !== undefined) {
    metrics.observeWebhooks(stored.states)
  }
  // whoever asks for a history wants all of it
  const kinds = new Set(history === undefined ? stored?.kinds : eventKinds)
  const events = new Events({ index, stored, log }, { kinds, source: `//${source.address}` })
  return { events, parts: [part('events', events)] }
}
