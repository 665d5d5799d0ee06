import { LRUCache } from 'lru-cache'
import type { Index } from '../../index/index.ts'
import type { Metrics } from '../../metrics.ts'
import { SharedCalls } from '../../scheduling/shared-calls.ts'
import type { SourceKind } from '../repository.ts'
import { keptContent, type KeptContent } from './kept-content.ts'
import { prefixOf } from './images/mirrors.ts'
import type { Upstream, UpstreamState } from '../upstream.ts'

/** Milliseconds for which what is kept is not counted again */
const keptFor = 60_000

/** What whoever runs this registry sees of one upstream; counts are those since the server started */
export interface ReviewedUpstream extends Partial<UpstreamState> {
  name: string
  /** What the names of its repositories begin with here */
  prefix: string
  /** Manifests and blobs that clients got without a byte of it from the upstream, and the others */
  hits: number
  misses: number
  /** Bytes that clients got, by where they came from */
  served: Partial<Record<SourceKind, number>>
  /** Bytes of manifests and blobs that came from the upstream */
  fetched: number
  /** Bytes that clients got beyond those that came from the upstream */
  saved: number
  /** Requests to the upstream by status; `failed` where there was no answer */
  requests: Record<string, number>
  kept: KeptContent
}

export interface MirrorReviewComponents {
  /** By name */
  upstreams: ReadonlyMap<string, Upstream>
  index: Pick<Index, 'blob' | 'isLinked' | 'manifests' | 'repositories'>
  metrics: Pick<Metrics, 'mirrorBytes' | 'mirrorRequests' | 'upstreamBytes' | 'upstreamRequests'>
}

interface Counted {
  labels: Partial<Record<string, string | number>>
  value: number
}

/** What is known of the other registries that are mirrored; its counts are those of the metrics */
export class MirrorReview {
  readonly #components: MirrorReviewComponents
  readonly #kept = new LRUCache<string, KeptContent>({ max: 1000, ttl: keptFor })
  readonly #counting = new SharedCalls<KeptContent>()

  constructor(components: MirrorReviewComponents) {
    this.#components = components
  }

  async upstreams(signal: AbortSignal): Promise<ReviewedUpstream[]> {
    const { metrics, upstreams } = this.#components
    const [requests, bytes, fetched, sent] = await Promise.all([
      metrics.mirrorRequests.get(),
      metrics.mirrorBytes.get(),
      metrics.upstreamBytes.get(),
      metrics.upstreamRequests.get(),
    ])
    const reviewed: ReviewedUpstream[] = []
    for (const { name, state } of upstreams.values()) {
      const results = countsOf(requests.values, name, 'result')
      const served = countsOf(bytes.values, name, 'source')
      const came = countsOf(fetched.values, name, 'upstream')[name] ?? 0
      const prefix = `${prefixOf(name)}/`
      reviewed.push({
        ...state?.(),
        name,
        prefix,
        hits: results['hit'] ?? 0,
        misses: results['miss'] ?? 0,
        served,
        fetched: came,
        saved: Math.max(0, Object.values(served).reduce((sum, count) => sum + count, 0) - came),
        requests: countsOf(sent.values, name, 'status'),
        kept: await this.#keptBelow(prefix, signal),
      })
    }
    return reviewed
  }

  async #keptBelow(prefix: string, signal: AbortSignal): Promise<KeptContent> {
    const known = this.#kept.get(prefix)
    if (known !== undefined) {
      return known
    }
    return await this.#counting.run(
      prefix,
      async end => {
        const kept = await keptContent(this.#components.index, prefix, end)
        this.#kept.set(prefix, kept)
        return kept
      },
      { signal },
    )
  }
}

/** Of one upstream, by another label */
function countsOf(values: readonly Counted[], upstream: string, label: string): Record<string, number> {
  return Object.fromEntries(
    values
      .filter(({ labels, value }) => labels['upstream'] === upstream && value > 0)
      .map(({ labels, value }) => [String(labels[label]), value]),
  )
}
