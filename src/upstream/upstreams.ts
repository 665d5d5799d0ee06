import type { Logger } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Upstream } from '../registry/mirror/upstream.ts'
import { RateLimit } from '../scheduling/rate-limit.ts'
import { Connections, type ConnectionsInit } from './connections.ts'
import { RegistryUpstream, type RegistryUpstreamInit } from './registry-upstream.ts'
import { storedCredentials, type StoredCredentials } from './stored-credentials.ts'
import type { LeastRate } from './upstream-body.ts'
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
  metrics: Pick<Metrics, 'upstreamBytes' | 'upstreamRateLimit' | 'upstreamRequests'>
}

/** The other registries of the configuration, and their connections */
export class Upstreams {
  readonly byName: ReadonlyMap<string, Upstream>
  readonly #connections: Connections[] = []

  constructor(components: UpstreamsComponents, init: UpstreamsInit) {
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
    const requests = new UpstreamRequests(
      {
        fetch: counted(connections.fetch, name, metrics),
        credentials: async () => await storedCredentials(credentials, [url.host, name]),
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
      { ...listed, maxManifestBytes: init.maxManifestBytes, rate: init.rate, timeout: init.timeout },
    )
  }
}

/** Counts each request that goes out: for tokens and after redirects, too */
function counted(send: typeof fetch, upstream: string, metrics: UpstreamsComponents['metrics']): typeof fetch {
  return async (input, init) => {
    let status = 'failed'
    try {
      const response = await send(input, init)
      status = String(response.status)
      // such as `76;w=21600`, of Docker Hub
      const remaining = /^\d{1,12}/.exec(response.headers.get('RateLimit-Remaining') ?? '')
      if (remaining !== null) {
        metrics.upstreamRateLimit.set({ upstream }, Number(remaining[0]))
      }
      return response
    } finally {
      metrics.upstreamRequests.inc({ upstream, status })
    }
  }
}
