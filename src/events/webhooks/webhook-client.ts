import { getCACertificates } from 'node:tls'
import { Agent, request } from 'undici'

/** How much of an answer is read, whose content does not matter, so that the connection can be used again */
const maxAnswerBytes = 16 * 1024

export interface WebhookClientInit {
  url: URL
  /** Certificates of authorities beside those of the system, PEM */
  ca?: string | undefined
  /** Milliseconds that a request may take in all */
  timeout: number
}

/** What a receiver said */
export interface ReceiverAnswer {
  status: number
  /** Seconds after which it wants to be asked again */
  retryAfter: number | undefined
}

/** Sends events to one receiver, one after the other on one connection. Redirects are answers as any other. */
export class WebhookClient {
  readonly #init: WebhookClientInit
  readonly #agent: Agent

  constructor(init: WebhookClientInit) {
    this.#init = init
    const { ca, timeout } = init
    this.#agent = new Agent({
      connections: 1,
      headersTimeout: timeout,
      bodyTimeout: timeout,
      connect: { timeout, ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }) },
    })
  }

  /** @throws Error where nothing was answered in time */
  async post(body: string, headers: Record<string, string>, signal: AbortSignal): Promise<ReceiverAnswer> {
    const { timeout, url } = this.#init
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
    const {
      headers: answered,
      statusCode: status,
      body: answer,
    } = await request(url, {
      dispatcher: this.#agent,
      method: 'POST',
      headers,
      body,
      signal: deadline,
    })
    // what it says beyond its status changes nothing
    await answer.dump({ limit: maxAnswerBytes, signal: deadline }).catch(() => {})
    const { 'retry-after': retryAfter } = answered
    return {
      status,
      retryAfter: typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined,
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}
