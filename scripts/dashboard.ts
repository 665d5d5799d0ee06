/**
 * Writes the dashboard for Grafana, config/prometheus/dashboard.json: `node scripts/dashboard.ts`. A test compares the
 * file with what this makes.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Unit = 'bytes' | 'Bps' | 'reqps' | 's' | 'short' | 'percentunit' | 'dateTimeFromNow'

interface Panel {
  title: string
  unit: Unit
  /** PromQL by its legend, in Grafana's notation; `$server` stands for the labels of the chosen servers */
  queries: Record<string, string>
  /** @default a line over time */
  type?: 'stat'
}

const buckets = 'ipdr_http_request_duration_seconds_bucket{$server,route="manifest"}'
const quantile = (q: number): string => `histogram_quantile(${q}, sum by (le) (rate(${buckets}[$__rate_interval])))`
const rate = (metric: string, by: string): string => `sum by (${by}) (rate(${metric}{$server}[$__rate_interval]))`

const rows: Array<[title: string, Panel[]]> = [
  [
    'At a glance',
    [
      { title: 'Servers that answer', type: 'stat', unit: 'short', queries: { up: 'sum(up{$server})' } },
      {
        title: 'Free room until pushes are refused',
        type: 'stat',
        unit: 'bytes',
        queries: { '{{instance}}': 'ipdr_storage_free_bytes{$server} - ipdr_storage_min_free_bytes{$server}' },
      },
      {
        title: 'Damaged or missing blocks',
        type: 'stat',
        unit: 'short',
        queries: { '{{instance}}': 'ipdr_fsck_bad_blocks{$server}' },
      },
      {
        title: 'Last backup',
        type: 'stat',
        unit: 'dateTimeFromNow',
        queries: { '{{instance}}': '1000 * (max_over_time(ipdr_last_backup_timestamp_seconds{$server}[30d]) > 0)' },
      },
      {
        title: 'Certificate expires',
        type: 'stat',
        unit: 'dateTimeFromNow',
        queries: { '{{instance}}': '1000 * ipdr_certificate_expiry_timestamp_seconds{$server}' },
      },
      { title: 'Peers', type: 'stat', unit: 'short', queries: { '{{instance}}': 'ipdr_peers{$server}' } },
    ],
  ],
  [
    'Requests',
    [
      { title: 'Requests', unit: 'reqps', queries: { '{{route}}': rate('ipdr_http_requests_total', 'route') } },
      {
        title: 'Requests that fail',
        unit: 'reqps',
        queries: {
          '{{route}} {{status}}':
            'sum by (route, status) (rate(ipdr_http_requests_total{$server,status=~"5..|aborted"}[$__rate_interval]))',
          'broken off': rate('ipdr_http_broken_responses_total', 'job'),
        },
      },
      {
        title: 'Time of a manifest',
        unit: 's',
        queries: { median: quantile(0.5), '99 of 100': quantile(0.99) },
      },
      {
        title: 'Traffic with clients',
        unit: 'Bps',
        queries: {
          received: rate('ipdr_http_received_bytes_total', 'job'),
          sent: rate('ipdr_http_sent_bytes_total', 'job'),
        },
      },
      {
        title: 'Where pulled bytes came from',
        unit: 'Bps',
        queries: { '{{source}}': rate('ipdr_served_bytes_total', 'source') },
      },
      { title: 'Open uploads', unit: 'short', queries: { '{{instance}}': 'ipdr_open_uploads{$server}' } },
    ],
  ],
  [
    'Storage',
    [
      {
        title: 'Bytes of all blocks',
        unit: 'bytes',
        queries: {
          '{{instance}}': 'ipdr_blockstore_bytes{$server}',
          'limit of {{instance}}': 'ipdr_storage_max_bytes{$server}',
        },
      },
      { title: 'Free on disk', unit: 'bytes', queries: { '{{instance}}': 'ipdr_storage_free_bytes{$server}' } },
      { title: 'Blobs', unit: 'short', queries: { '{{instance}}': 'ipdr_blobs{$server}' } },
      {
        title: 'Garbage collections in a day',
        unit: 'short',
        queries: { '{{instance}} {{result}}': 'increase(ipdr_gc_cycles_total{$server}[1d])' },
      },
      {
        title: 'Freed by garbage collection in a day',
        unit: 'bytes',
        queries: { '{{instance}}': 'increase(ipdr_gc_freed_bytes_total{$server}[1d])' },
      },
      {
        title: 'Read by fsck',
        unit: 'Bps',
        queries: { '{{instance}}': rate('ipdr_fsck_checked_bytes_total', 'instance') },
      },
      {
        title: 'Damaged blocks found and repaired in a day',
        unit: 'short',
        queries: {
          'found by {{instance}}': 'increase(ipdr_fsck_quarantined_blocks_total{$server}[1d])',
          'repair of {{instance}}: {{result}}': 'increase(ipdr_fsck_repairs_total{$server}[1d])',
        },
      },
      {
        title: 'Writes refused for lack of room in an hour',
        unit: 'short',
        queries: { '{{instance}}': 'increase(ipdr_storage_refused_writes_total{$server}[1h])' },
      },
    ],
  ],
  [
    'Network, upstreams and webhooks',
    [
      {
        title: 'Blocks from elsewhere',
        unit: 'short',
        queries: { '{{source}}': rate('ipdr_retrieved_blocks_total', 'source') },
      },
      {
        title: 'Requests to upstreams',
        unit: 'reqps',
        queries: { '{{upstream}} {{status}}': rate('ipdr_upstream_requests_total', 'upstream, status') },
      },
      {
        title: 'Bytes from upstreams',
        unit: 'Bps',
        queries: { '{{upstream}}': rate('ipdr_upstream_bytes_total', 'upstream') },
      },
      {
        title: 'Pulls that upstreams still allow',
        unit: 'short',
        queries: { '{{upstream}}': 'ipdr_upstream_rate_limit_remaining{$server}' },
      },
      {
        title: 'Events that wait for webhooks',
        unit: 'short',
        queries: { '{{webhook}}': 'ipdr_webhook_waiting_events{$server}' },
      },
      {
        title: 'Events delivered and lost in an hour',
        unit: 'short',
        queries: {
          '{{webhook}}': 'increase(ipdr_webhook_delivered_events_total{$server}[1h])',
          'attempts of {{webhook}} that failed': 'increase(ipdr_webhook_failed_attempts_total{$server}[1h])',
          'lost by {{webhook}}': 'increase(ipdr_webhook_dropped_events_total{$server}[1h])',
        },
      },
    ],
  ],
  [
    'Process',
    [
      {
        title: 'Processors',
        unit: 'short',
        queries: { '{{instance}}': rate('process_cpu_seconds_total', 'instance') },
      },
      { title: 'Memory', unit: 'bytes', queries: { '{{instance}}': 'process_resident_memory_bytes{$server}' } },
      {
        title: 'Lag of the event loop, 99 of 100',
        unit: 's',
        queries: { '{{instance}}': 'nodejs_eventloop_lag_p99_seconds{$server}' },
      },
      {
        title: 'Open files and connections',
        unit: 'percentunit',
        queries: { '{{instance}}': 'process_open_fds{$server} / process_max_fds{$server}' },
      },
      {
        title: 'Request bodies in memory',
        unit: 'bytes',
        queries: { '{{instance}}': 'ipdr_http_body_bytes{$server}' },
      },
    ],
  ],
]

const server = 'job="ipdr",instance=~"$instance"'
const datasource = { type: 'prometheus', uid: '$datasource' }
/** Grafana's grid has 24 columns */
const columns = 24
const perLine = 3
const heights = { stat: 4, timeseries: 8 }

/** Every query of the dashboard, with Grafana's variables */
export const dashboardQueries: string[] = rows.flatMap(([, panels]) =>
  panels.flatMap(({ queries }) => Object.values(queries).map(query => query.replaceAll('$server', server))),
)

/** The dashboard as Grafana imports it */
export function dashboardJson(): string {
  let id = 0
  let y = 0
  const placed = rows.flatMap(([title, panels]) => {
    const row = {
      id: ++id,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y: y++, w: columns, h: 1 },
      panels: [],
    }
    const isStat = panels.every(({ type }) => type === 'stat')
    const inLine = isStat ? panels.length : perLine
    const [w, h] = [columns / inLine, isStat ? heights.stat : heights.timeseries]
    const top = y
    const below = panels.map((panel, i) =>
      panelOf(panel, ++id, { x: (i % inLine) * w, y: top + Math.floor(i / inLine) * h, w, h }),
    )
    y += Math.ceil(panels.length / inLine) * h
    return [row, ...below]
  })
  return `${JSON.stringify({ ...frame, panels: placed }, undefined, 2)}\n`
}

interface GridPos {
  x: number
  y: number
  w: number
  h: number
}

function panelOf({ queries, title, type, unit }: Panel, id: number, gridPos: GridPos): Record<string, unknown> {
  return {
    id,
    type: type ?? 'timeseries',
    title,
    gridPos,
    datasource,
    fieldConfig: { defaults: { unit, ...(unit === 'dateTimeFromNow' ? {} : { min: 0 }) }, overrides: [] },
    targets: Object.entries(queries).map(([legendFormat, query], i) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + i),
      datasource,
      expr: query.replaceAll('$server', server),
      legendFormat,
    })),
  }
}

const frame = {
  title: 'IPDR',
  uid: 'ipdr',
  description: 'Container registry with an IPFS node',
  tags: ['ipdr'],
  schemaVersion: 38,
  editable: true,
  refresh: '1m',
  time: { from: 'now-6h', to: 'now' },
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Prometheus' },
      {
        name: 'instance',
        type: 'query',
        label: 'Server',
        datasource,
        query: 'label_values(up{job="ipdr"}, instance)',
        refresh: 2,
        multi: true,
        includeAll: true,
        allValue: '.*',
        current: { text: 'All', value: '$__all' },
      },
    ],
  },
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, '../config/prometheus/dashboard.json'), dashboardJson())
}
