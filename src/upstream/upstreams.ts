import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Upstream } from '../registry/upstream.ts'
import { RateLimit } from '../scheduling/rate-limit.ts'
import { Connections, type ConnectionsInit } from './connections.ts'
import { RegistryUpstream, type RegistryUpstreamInit } from './registry-upstream.ts'
import { storedCredentials, type StoredCredentials } from './stored-credentials.ts'
import type { LeastRate } from './upstream-body.ts'
import { UpstreamNotes } from './upstream-notes.ts'
import { UpstreamRequests } from './upstream-requests.ts'

/** One upstream, as the configuration lists it */
export interface ListedUpstream
  extends Pick<RegistryUpstreamInit, 'name' | 'url' | 'tagTtl' | 'platforms' | 'mirrors'>,
    Pick<ConnectionsInit, 'ca' | 'lookup'> {
  credentials: StoredCredentials
  /** Bytes per second that are fetched from it; Infinity means unlimited */
  maxRate: number
  /** Requests to it at a time */
  maxRequests: number
}

export interface UpstreamsInit {
  listed: readonly ListedUpstream[]
  /** By which this registry names itself in `Via` */
  instance: string
  maxManifestBytes: number
  rate: LeastRate
  /** Milliseconds that an upstream may be silent */
  timeout: number
}

export interface UpstreamsComponents {
  log: Logger
  metrics: Pick<Metrics, 'mirrorRequests' | 'upstreamBytes' | 'upstreamRateLimit' | 'upstreamRequests'>
}

/** The other registries of the configuration, and their connections */
export class Upstreams {
  readonly byName: ReadonlyMap<string, Upstream>
  readonly #connections: Connections[] = []

  constructor(components: UpstreamsComponents, init: UpstreamsInit) {
    countFromZero(components.metrics, init.listed)
    this.byName = new Map(init.listed.map(listed => [listed.name, this.#open(listed, components, init)]))
  }

  /** Ends every request and every connection */
  async stop(): Promise<void> {
    await Promise.all(
      this.#connections.map(async connections => {
        await connections.close()
      }),
    )
  }

  #open(listed: ListedUpstream, { log, metrics }: UpstreamsComponents, init: UpstreamsInit): Upstream {
    const { credentials, maxRate, maxRequests, name, url } = listed
    const connections = new Connections(listed)
    this.#connections.push(connections)
    const notes = new UpstreamNotes()
    const requests = new UpstreamRequests(
      {
        fetch: counted(connections.fetch, { name, metrics, notes }),
        credentials: async () => await storedCredentials(credentials, [url.host, name]),
        notes,
        log,
      },
      { name, url, maxRequests, timeout: init.timeout, instance: init.instance },
    )
    return new RegistryUpstream(
      {
        requests,
        egress: new RateLimit(maxRate),
        count: bytes => {
          metrics.upstreamBytes.inc({ upstream: name }, bytes)
        },
      },
      {
        ...listed,
        maxManifestBytes: init.maxManifestBytes,
        rate: init.rate,
        timeout: init.timeout,
        state: () => ({
          url: url.origin,
          maxRate: Number.isFinite(maxRate) ? maxRate : undefined,
          maxRequests,
          ...notes.state(requests.pause),
        }),
      },
    )
  }
}

/** increase() of Prometheus sees the first of them only if the count was there before */
function countFromZero(
  { mirrorRequests, upstreamBytes }: UpstreamsComponents['metrics'],
  listed: readonly ListedUpstream[],
): void {
  for (const { name: upstream } of listed) {
    upstreamBytes.inc({ upstream }, 0)
    mirrorRequests.inc({ upstream, result: 'hit' }, 0)
    mirrorRequests.inc({ upstream, result: 'miss' }, 0)
  }
}

/** Counts each request that goes out: for tokens and after redirects, too */
function counted(
  send: typeof fetch,
  { metrics, name: upstream, notes }: { name: string; metrics: UpstreamsComponents['metrics']; notes: UpstreamNotes },
): typeof fetch {
  return async (input, init) => {
    let status = 'failed'
    try {
      const response = await send(input, init)
      status = String(response.status)
      notes.answered(response)
      const remaining = notes.rateLimit?.remaining
      if (remaining !== undefined) {
        metrics.upstreamRateLimit.set({ upstream }, remaining)
      }
      return response
    } finally {
      metrics.upstreamRequests.inc({ upstream, status })
    }
  }
}
