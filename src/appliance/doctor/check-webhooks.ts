import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { connect as connectByTls, getCACertificates } from 'node:tls'
import type { Config } from '../../config/schema.ts'
import { bounded, TimeLimitError } from './bounded.ts'
import { type Finding, ok, wrong } from './finding.ts'

type ListedWebhook = Config['webhooks'][number]

const second = 1000
/** For one receiver */
const limit = 5 * second

/** Whether the receivers of webhooks can be reached; nothing is sent to them, as they may act on it */
export async function checkWebhooks({ webhooks }: Pick<Config, 'webhooks'>, signal: AbortSignal): Promise<Finding[]> {
  return await Promise.all(webhooks.map(async webhook => await checkWebhook(webhook, signal)))
}

async function checkWebhook(webhook: ListedWebhook, signal: AbortSignal): Promise<Finding> {
  const check = `webhook ${webhook.name}`
  // the rest of the URL may be a secret
  const { origin } = new URL(webhook.url)
  const began = performance.now()
  try {
    await bounded(async end => await reach(webhook, end), { limit, signal })
    return ok(check, `${origin} takes connections, after ${Math.round(performance.now() - began)} ms`)
  } catch (err) {
    signal.throwIfAborted()
    return failure(check, origin, err)
  }
}

/** @throws Error where there is no connection, or its certificate is refused */
async function reach({ ca, url }: ListedWebhook, signal: AbortSignal): Promise<void> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const isSecure = protocol === 'https:'
  const at = { host, port: Number(port || (isSecure ? 443 : 80)) }
  const authorities = ca === undefined ? {} : { ca: [...getCACertificates('default'), await readFile(ca, 'utf8')] }
  const socket = isSecure ? connectByTls({ ...at, ...authorities, servername: nameOf(host) }) : connect(at)
  try {
    await once(socket, isSecure ? 'secureConnect' : 'connect', { signal })
  } finally {
    // what goes wrong with a connection that is not needed any more interests nobody
    socket.on('error', () => {}).destroy()
  }
}

/** An address is not named in a handshake */
function nameOf(host: string): string {
  return /^[\d.]+$|:/.test(host) ? '' : host
}

function failure(check: string, origin: string, err: unknown): Finding {
  const { code = '', message } = err as NodeJS.ErrnoException
  if (err instanceof TimeLimitError) {
    return wrong(check, `${origin} does not answer within ${limit / second} s`, 'Look at the network and a firewall.')
  }
  if (/CERT|TLS|SSL|SIGNATURE/.test(code)) {
    const advice = 'Renew the certificate there, or name the authority that signed it in the ca of this webhook.'
    return wrong(check, `the certificate of ${origin} is refused: ${code}`, advice)
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return wrong(check, `${origin} has no address (${code})`, 'Correct the url of this webhook, or look at DNS.')
  }
  const advice = 'Look at whether the receiver runs, and whether its url is right; events wait for it until then.'
  return wrong(check, `${origin} can't be reached: ${code || message}`, advice)
}
