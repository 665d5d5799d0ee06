import { Counter, Gauge, Histogram, Registry as PrometheusRegistry, collectDefaultMetrics } from 'prom-client'

/** Where gauges get their values, each time somebody asks for the metrics */
export interface MetricSources {
  blobs: () => Promise<number>
  openUploads: () => Promise<number>
  /** Bytes of request bodies in memory */
  bodyBytes: () => number
  space: {
    /** Maximum bytes of all blocks together; undefined means unlimited */
    maxBytes: number | undefined
    /** Writes refused for lack of room since the start */
    refused: number
    /** Bytes of all blocks; undefined until they are counted */
    usage: { total: number | undefined }
    /** Free bytes of the file system, and how many of them must stay free */
    free: () => Promise<{ free: number; minFree: number }>
  }
  peers: () => number
  /** Blocks fetched from elsewhere since the start */
  retrievedBlocks: () => { peers: number; gateways: number }
  /** The network profile of the IPFS node */
  network: string
  /** When the registry's certificate expires, in milliseconds since 1970; undefined where it has none */
  certificateExpiry: (() => number) | undefined
}

type Values<L extends string> = Iterable<[labels: Partial<Record<L, string>>, value: number]>

/** How long the number of blobs is reused, as counting them is a scan; milliseconds */
const countAge = 30_000

/** Metrics of prom-client that say what another one says, under names that Prometheus keeps for counters */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/** Every metric of the appliance */
export class Metrics {
  readonly #registry = new PrometheusRegistry()
  readonly requests = this.#counter('ipdr_http_requests_total', 'Requests by method, route and status', [
    'method',
    'route',
    'status',
  ])
  readonly requestDuration = new Histogram<'method' | 'route'>({
    registers: [this.#registry],
    name: 'ipdr_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its response',
    labelNames: ['method', 'route'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300],
  })
  readonly receivedBytes = this.#counter(
    'ipdr_http_received_bytes_total',
    'Bytes received from clients, headers included',
  )
  readonly sentBytes = this.#counter('ipdr_http_sent_bytes_total', 'Bytes sent to clients, headers included')
  readonly servedBytes = this.#counter(
    'ipdr_served_bytes_total',
    'Bytes of blobs and manifests sent to clients, by where they came from: disk, peer, gateway or upstream',
    ['source'],
  )
  readonly brokenResponses = this.#counter(
    'ipdr_http_broken_responses_total',
    'Responses cut off by an error after their headers',
  )
  readonly collections = this.#counter('ipdr_gc_cycles_total', 'Garbage collections by result, success or failure', [
    'result',
  ])
  readonly collectionDuration = this.#level('ipdr_gc_duration_seconds', 'Time that the last garbage collection took')
  readonly freedBlocks = this.#counter('ipdr_gc_freed_blocks_total', 'Blocks that garbage collection deleted')
  readonly freedBytes = this.#counter(
    'ipdr_gc_freed_bytes_total',
    'Bytes of the blocks that garbage collection deleted',
  )
  readonly fsckRuns = this.#counter('ipdr_fsck_runs_total', 'Runs of fsck by result, success or failure', ['result'])
  readonly fsckDuration = this.#level('ipdr_fsck_duration_seconds', 'Time that the last fsck took')
  readonly fsckBlocks = this.#counter('ipdr_fsck_checked_blocks_total', 'Blocks that fsck has read and found undamaged')
  readonly fsckBytes = this.#counter(
    'ipdr_fsck_checked_bytes_total',
    'Bytes of the blocks that fsck has read and found undamaged',
  )
  readonly badBlocks = this.#level(
    'ipdr_fsck_bad_blocks',
    'Missing or damaged blocks that the last fsck could not repair',
  )
  readonly quarantinedBlocks = this.#counter(
    'ipdr_fsck_quarantined_blocks_total',
    'Damaged blocks that fsck or a read took out of the blockstore',
  )
  readonly repairs = this.#counter(
    'ipdr_fsck_repairs_total',
    'Repairs of missing or damaged blocks by result, success or failure',
    ['result'],
  )
  readonly lastBackup = this.#level(
    'ipdr_last_backup_timestamp_seconds',
    'When a client last read a backup to its end, in seconds since 1970; 0 before that',
  )
  readonly upstreamRequests = this.#counter(
    'ipdr_upstream_requests_total',
    'Requests to mirrored registries by status, those for tokens and after redirects included',
    ['upstream', 'status'],
  )
  readonly upstreamBytes = this.#counter(
    'ipdr_upstream_bytes_total',
    'Bytes of manifests and blobs from mirrored registries',
    ['upstream'],
  )
  readonly upstreamRateLimit = this.#level(
    'ipdr_upstream_rate_limit_remaining',
    'Pulls that a mirrored registry still allows, if it says so',
    ['upstream'],
  )
  readonly mirrorRequests = this.#counter(
    'ipdr_mirror_requests_total',
    'Manifests and blobs of mirrored registries that clients got: a miss where the registry had to send a byte of it',
    ['upstream', 'result'],
  )
  readonly mirrorBytes = this.#counter(
    'ipdr_mirror_served_bytes_total',
    'Bytes of manifests and blobs of mirrored registries sent to clients, by where they came from',
    ['upstream', 'source'],
  )
  readonly webhookDelivered = this.#counter('ipdr_webhook_delivered_events_total', 'Events that a webhook took', [
    'webhook',
  ])
  readonly webhookFailed = this.#counter(
    'ipdr_webhook_failed_attempts_total',
    'Attempts to send an event to a webhook that failed',
    ['webhook'],
  )
  readonly webhookDropped = this.#counter(
    'ipdr_webhook_dropped_events_total',
    'Events that a webhook never got, as its queue was full or it refused them',
    ['webhook'],
  )

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    misnamed.forEach(name => {
      this.#registry.removeSingleMetric(name)
    })
    // increase() of Prometheus sees the first failure only if the count was there before
    for (const counter of [this.collections, this.fsckRuns, this.repairs]) {
      counter.inc({ result: 'success' }, 0)
      counter.inc({ result: 'failure' }, 0)
    }
  }

  /** Adds the gauges, whose values come from other parts of the appliance */
  observe(sources: MetricSources): void {
    this.#gauge('ipdr_blobs', 'Blobs in the index, whatever repositories have them', cached(sources.blobs))
    this.#gauge('ipdr_open_uploads', 'Uploads that were neither completed nor cancelled', sources.openUploads)
    this.#gauge('ipdr_http_body_bytes', 'Bytes of manifests and other request bodies in memory', sources.bodyBytes)
    this.#observeSpace(sources.space)
    this.#gauge('ipdr_peers', 'Peers that the IPFS node is connected to', sources.peers)
    const bySource = (): Values<'source'> =>
      Object.entries(sources.retrievedBlocks()).map(([source, blocks]) => [{ source }, blocks])
    const help = 'Blocks fetched from elsewhere, by source'
    this.#total('ipdr_retrieved_blocks_total', help, bySource, ['source'])
    this.#labelled('ipdr_retrieved_blocks', former('ipdr_retrieved_blocks_total'), ['source'], bySource)
    this.#labelled('ipdr_node_info', 'The network profile of the IPFS node, as a label', ['network'], () => [
      [{ network: sources.network }, 1],
    ])
    const { certificateExpiry } = sources
    if (certificateExpiry !== undefined) {
      this.#gauge(
        'ipdr_certificate_expiry_timestamp_seconds',
        "When the registry's certificate expires, in seconds since 1970",
        () => certificateExpiry() / 1000,
      )
    }
  }

  /** Adds a gauge of the events that wait for webhooks; for a server that has some */
  observeWebhooks(states: () => Iterable<{ name: string; waiting: number }>): void {
    for (const { name: webhook } of states()) {
      for (const counter of [this.webhookDelivered, this.webhookFailed, this.webhookDropped]) {
        counter.inc({ webhook }, 0)
      }
    }
    this.#labelled('ipdr_webhook_waiting_events', 'Events that a webhook has not taken yet', ['webhook'], () =>
      Array.from(states(), ({ name: webhook, waiting }) => [{ webhook }, waiting]),
    )
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** @returns all metrics in Prometheus' text format */
  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  #observeSpace(space: MetricSources['space']): void {
    this.#gauge(
      'ipdr_blockstore_bytes',
      'Bytes of all blocks in the blockstore; 0 until they are counted',
      () => space.usage.total,
    )
    if (space.maxBytes !== undefined) {
      this.#gauge('ipdr_storage_max_bytes', 'Bytes that all blocks together may take', () => space.maxBytes)
    }
    this.#gauge(
      'ipdr_storage_free_bytes',
      'Bytes of the file system of the blockstore that are free',
      async () => (await space.free()).free,
    )
    this.#gauge(
      'ipdr_storage_min_free_bytes',
      'Bytes of the file system of the blockstore that pushes leave free',
      async () => (await space.free()).minFree,
    )
    const refused = 'ipdr_storage_refused_writes_total'
    this.#total(refused, 'Writes refused for lack of room', () => [[{}, space.refused]])
    this.#gauge('ipdr_storage_refused', former(refused), () => space.refused)
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ registers: [this.#registry], name, help, labelNames })
  }

  #level<L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ registers: [this.#registry], name, help, labelNames })
  }

  /** A counter whose values somebody else keeps */
  #total<L extends string>(name: string, help: string, read: () => Values<L>, labelNames: L[] = []): void {
    new Counter({
      registers: [this.#registry],
      name,
      help,
      labelNames,
      collect() {
        this.reset()
        for (const [labels, value] of read()) {
          this.inc(labels, value)
        }
      },
    })
  }

  #labelled<L extends string>(name: string, help: string, labelNames: L[], read: () => Values<L>): void {
    new Gauge({
      registers: [this.#registry],
      name,
      help,
      labelNames,
      collect() {
        for (const [labels, value] of read()) {
          this.set(labels, value)
        }
      },
    })
  }

  #gauge(name: string, help: string, read: () => Promise<number | undefined> | number | undefined): void {
    new Gauge({
      registers: [this.#registry],
      name,
      help,
      async collect() {
        const value = await read()
        if (value !== undefined) {
          this.set(value)
        }
      },
    })
  }
}

function former(name: string): string {
  return `Former name of ${name}`
}

function cached(read: () => Promise<number>): () => Promise<number> {
  let value: Promise<number> | undefined
  let readAt = 0
  return async () => {
    if (value === undefined || Date.now() - readAt > countAge) {
      readAt = Date.now()
      value = read()
    }
    return await value
  }
}
