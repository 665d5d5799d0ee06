import type { Index, IndexChange } from '../../index/index.ts'
import { OciError } from '../../oci/errors.ts'
import type { RegistryEvent } from '../formats/registry-event.ts'
import type { Webhook } from './webhook.ts'

/** What an operator is told about a webhook */
export interface WebhookState {
  name: string
  /** Events that were not sent yet */
  waiting: number
  /** Undefined where the last attempt was a success, or there was none */
  failing?: { attempts: number; since: string; reason: string } | undefined
}

/** All webhooks of the configuration */
export class Webhooks {
  readonly #index: Index
  readonly #byName: ReadonlyMap<string, Webhook>

  /** @param components.webhooks by name */
  constructor({ index, webhooks }: { index: Index; webhooks: ReadonlyMap<string, Webhook> }) {
    this.#index = index
    this.#byName = webhooks
  }

  /** Goes on with what waited before a restart; forgets what waited for webhooks that are no longer configured */
  async start(): Promise<void> {
    const forgotten = this.#index.change()
    for await (const { id, webhook } of this.#index.allWaitingEvents()) {
      const known = this.#byName.get(webhook)
      known === undefined ? forgotten.deleteWaitingEvent(webhook, id) : known.queue.found(id)
    }
    await forgotten.commit({ durable: false })
    for (const webhook of this.#byName.values()) {
      webhook.start()
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#byName.values()].map(async webhook => {
        await webhook.stop()
      }),
    )
  }

  /** @returns what the caller calls when the change has been made */
  add(change: IndexChange, events: readonly RegistryEvent[]): () => void {
    const added = [...this.#byName.values()].map(webhook => webhook.add(change, events))
    return () => {
      for (const call of added) {
        call()
      }
    }
  }

  async isWaiting(id: string): Promise<boolean> {
    for (const { queue } of this.#byName.values()) {
      if (await queue.has(id)) {
        return true
      }
    }
    return false
  }

  /**
   * Sends events again to the webhooks that want them
   *
   * @param name of the only webhook to send them to; undefined: all
   * @returns how many requests that makes
   * @throws OciError REQUEST_INVALID where an event or the webhook is unknown; nothing is sent then
   */
  async resend(ids: readonly string[], name: string | undefined): Promise<number> {
    const only = name === undefined ? undefined : this.#byName.get(name)
    if (name !== undefined && only === undefined) {
      throw new OciError('REQUEST_INVALID', { detail: { reason: `webhook: there is none of the name ${name}` } })
    }
    const events: RegistryEvent[] = []
    for (const id of new Set(ids)) {
      const record = await this.#index.event(id)
      if (record === undefined) {
        throw new OciError('REQUEST_INVALID', { detail: { reason: `ids: event ${id} is not in the history` } })
      }
      events.push({ id, ...record })
    }
    const change = this.#index.change()
    const receivers = only === undefined ? [...this.#byName.values()] : [only]
    let count = 0
    const added: Array<() => void> = []
    for (const webhook of receivers) {
      const wanted = events.filter(event => webhook.wants(event)).map(({ id }) => id)
      count += wanted.length
      added.push(await webhook.resend(change, wanted))
    }
    await change.commit({ durable: true })
    added.forEach(call => {
      call()
    })
    return count
  }

  states(): WebhookState[] {
    return [...this.#byName].map(([name, webhook]) => ({ name, ...webhook.state }))
  }
}
