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
}

/** How long the number of blobs is reused, as counting them is a scan; milliseconds */
const countAge = 30_000

/** Every metric of the appliance */
export class Metrics {
  readonly #registry = new PrometheusRegistry()
  readonly requests = new Counter<'method' | 'route' | 'status'>({
    registers: [this.#registry],
    name: 'ipdr_http_requests_total',
    help: 'Requests by method, route and status',
    labelNames: ['method', 'route', 'status'],
  })
  readonly requestDuration = new Histogram<'method' | 'route'>({
    registers: [this.#registry],
    name: 'ipdr_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the last of its response',
    labelNames: ['method', 'route'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60, 300],
  })
  readonly receivedBytes = new Counter({
    registers: [this.#registry],
    name: 'ipdr_http_received_bytes_total',
    help: 'Bytes received from clients, headers included',
  })
  readonly sentBytes = new Counter({
    registers: [this.#registry],
    name: 'ipdr_http_sent_bytes_total',
    help: 'Bytes sent to clients, headers included',
  })
  readonly servedBytes = new Counter<'source'>({
    registers: [this.#registry],
    name: 'ipdr_served_bytes_total',
    help: 'Bytes of blobs and manifests sent to clients, by where they came from: disk, peer, gateway or upstream',
    labelNames: ['source'],
  })
  readonly brokenResponses = new Counter({
    registers: [this.#registry],
    name: 'ipdr_http_broken_responses_total',
    help: 'Responses cut off by an error after their headers',
  })
  readonly collections = new Counter<'result'>({
    registers: [this.#registry],
    name: 'ipdr_gc_cycles_total',
    help: 'Garbage collections by result, success or failure',
    labelNames: ['result'],
  })
  readonly collectionDuration = new Gauge({
    registers: [this.#registry],
    name: 'ipdr_gc_duration_seconds',
    help: 'Time that the last garbage collection took',
  })
  readonly freedBlocks = new Counter({
    registers: [this.#registry],
    name: 'ipdr_gc_freed_blocks_total',
    help: 'Blocks that garbage collection deleted',
  })
  readonly freedBytes = new Counter({
    registers: [this.#registry],
    name: 'ipdr_gc_freed_bytes_total',
    help: 'Bytes of the blocks that garbage collection deleted',
  })
  readonly fsckRuns = new Counter<'result'>({
    registers: [this.#registry],
    name: 'ipdr_fsck_runs_total',
    help: 'Runs of fsck by result, success or failure',
    labelNames: ['result'],
  })
  readonly fsckDuration = new Gauge({
    registers: [this.#registry],
    name: 'ipdr_fsck_duration_seconds',
    help: 'Time that the last fsck took',
  })
  readonly fsckBlocks = new Counter({
    registers: [this.#registry],
    name: 'ipdr_fsck_checked_blocks_total',
    help: 'Blocks that fsck has read and found undamaged',
  })
  readonly fsckBytes = new Counter({
    registers: [this.#registry],
    name: 'ipdr_fsck_checked_bytes_total',
    help: 'Bytes of the blocks that fsck has read and found undamaged',
  })
  readonly badBlocks = new Gauge({
    registers: [this.#registry],
    name: 'ipdr_fsck_bad_blocks',
    help: 'Missing or damaged blocks that the last fsck could not repair',
  })
  readonly quarantinedBlocks = new Counter({
    registers: [this.#registry],
    name: 'ipdr_fsck_quarantined_blocks_total',
    help: 'Damaged blocks that fsck or a read took out of the blockstore',
  })
  readonly repairs = new Counter<'result'>({
    registers: [this.#registry],
    name: 'ipdr_fsck_repairs_total',
    help: 'Repairs of missing or damaged blocks by result, success or failure',
    labelNames: ['result'],
  })
  readonly upstreamRequests = new Counter<'upstream' | 'status'>({
    registers: [this.#registry],
    name: 'ipdr_upstream_requests_total',
    help: 'Requests to mirrored registries by status, those for tokens and after redirects included',
    labelNames: ['upstream', 'status'],
  })
  readonly upstreamBytes = new Counter<'upstream'>({
    registers: [this.#registry],
    name: 'ipdr_upstream_bytes_total',
    help: 'Bytes of manifests and blobs from mirrored registries',
    labelNames: ['upstream'],
  })
  readonly upstreamRateLimit = new Gauge<'upstream'>({
    registers: [this.#registry],
    name: 'ipdr_upstream_rate_limit_remaining',
    help: 'Pulls that a mirrored registry still allows, if it says so',
    labelNames: ['upstream'],
  })
  readonly webhookDelivered = new Counter<'webhook'>({
    registers: [this.#registry],
    name: 'ipdr_webhook_delivered_events_total',
    help: 'Events that a webhook took',
    labelNames: ['webhook'],
  })
  readonly webhookFailed = new Counter<'webhook'>({
    registers: [this.#registry],
    name: 'ipdr_webhook_failed_attempts_total',
    help: 'Attempts to send an event to a webhook that failed',
    labelNames: ['webhook'],
  })
  readonly webhookDropped = new Counter<'webhook'>({
    registers: [this.#registry],
    name: 'ipdr_webhook_dropped_events_total',
    help: 'Events that a webhook never got, as its queue was full or it refused them',
    labelNames: ['webhook'],
  })

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
  }

  /** Adds the gauges, whose values come from other parts of the appliance */
  observe(sources: MetricSources): void {
    this.#gauge('ipdr_blobs', 'Blobs in the index, whatever repositories have them', cached(sources.blobs))
    this.#gauge('ipdr_open_uploads', 'Uploads that were neither completed nor cancelled', sources.openUploads)
    this.#gauge('ipdr_http_body_bytes', 'Bytes of manifests and other request bodies in memory', sources.bodyBytes)
    this.#observeSpace(sources.space)
    this.#gauge('ipdr_peers', 'Peers that the IPFS node is connected to', sources.peers)
    new Gauge({
      registers: [this.#registry],
      name: 'ipdr_retrieved_blocks',
      help: 'Blocks fetched from elsewhere since the start, by source',
      labelNames: ['source'],
      collect() {
        const { peers, gateways } = sources.retrievedBlocks()
        this.set({ source: 'peers' }, peers)
        this.set({ source: 'gateways' }, gateways)
      },
    })
  }

  /** Adds a gauge of the events that wait for webhooks; for a server that has some */
  observeWebhooks(waiting: () => Iterable<{ name: string; waiting: number }>): void {
    new Gauge({
      registers: [this.#registry],
      name: 'ipdr_webhook_waiting_events',
      help: 'Events that a webhook has not taken yet',
      labelNames: ['webhook'],
      collect() {
        for (const { name, waiting: value } of waiting()) {
          this.set({ webhook: name }, value)
        }
      },
    })
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
    this.#gauge('ipdr_storage_refused', 'Writes refused for lack of room since the start', () => space.refused)
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
