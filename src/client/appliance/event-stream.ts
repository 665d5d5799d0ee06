import type { CloudEvent } from '../../events/formats/cloud-event.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import { ClientError } from '../../remote/errors.ts'
import { hostOf, requireStatus, type Answer } from '../../remote/http/answer.ts'
import { networkTimeout } from '../timeouts.ts'
import type { Connection } from './appliance-client.ts'
import { askJson, jsonBody } from './ask-json.ts'
export type { CloudEvent } from '../../events/formats/cloud-event.ts'

/** Milliseconds of silence after which the server counts as gone: it sends a comment every 15 seconds */
const silence = 60_000
/** Many times what an event can have */
const maxEventLength = 1024 * 1024

export interface EventStreamOptions extends AbortOptions {
  /** The id of an event: those after it come first */
  since?: string | undefined
  /** Whether to go on with what happens from now on */
  live: boolean
}

/**
 * What happens in an appliance, as it tells of it
 *
 * @throws ResponseError, ClientError
 */
export async function* readEvents(
  connection: Connection,
  { live, since, signal }: EventStreamOptions,
): AsyncGenerator<CloudEvent> {
  const query = new URLSearchParams({ live: String(live), ...(since === undefined ? {} : { since }) })
  const answer = await connection.request(`/ipdr/v1/events?${query}`, { signal, silence, timeout: networkTimeout })
  await requireStatus(answer, 'events')
  for await (const data of dataOf(answer)) {
    yield parse(data, answer)
  }
}

/**
 * Has an appliance send events to its webhooks again
 *
 * @returns how many requests that makes
 * @throws ResponseError, ClientError
 */
export async function resendEvents(
  connection: Connection,
  body: { ids: readonly string[]; webhook?: string | undefined },
  { signal }: AbortOptions = {},
): Promise<number> {
  const request = { signal, ...jsonBody(body) }
  const { queued } = (await askJson(connection, 'events/resend', 'events', request)) as { queued?: unknown }
  return Number(queued)
}

/**
 * The data of each server-sent event. What is cut off before the empty line that ends an event does not count.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
async function* dataOf(answer: Answer): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body()) {
    const blocks = (text + decoder.decode(chunk, { stream: true })).split('\n\n')
    text = blocks.pop()!
    if (text.length > maxEventLength) {
      throw new ClientError(`${hostOf(answer)} sent an event of more than ${maxEventLength} characters`)
    }
    for (const block of blocks) {
      const data = block.split('\n').flatMap(line => /^data: ?(.*)$/.exec(line)?.[1] ?? [])
      if (data.length > 0) {
        yield data.join('\n')
      }
    }
  }
}

function parse(data: string, answer: Answer): CloudEvent {
  try {
    return JSON.parse(data) as CloudEvent
  } catch (err) {
    throw new ClientError(`${hostOf(answer)} did not answer with events in JSON`, { cause: err })
  }
}
