import type { Upstream } from '../../registry/upstream.ts'
import { second, type Base } from './base.ts'
import { part, type Part } from './part.ts'

/** The other registries that are mirrored; undefined where the configuration lists none */
export interface UpstreamParts {
  upstreams: ReadonlyMap<string, Upstream> | undefined
  parts: Part[]
}

export function buildUpstreams({ config: { limits }, inputs, log, metrics }: Base): UpstreamParts {
  if (inputs.upstreams === undefined) {
    return { upstreams: undefined, parts: [] }
  }
  const { Upstreams, instance, listed } = inputs.upstreams
  const upstreams = new Upstreams(
    { log: log.child({ module: 'upstream' }), metrics },
    {
      listed,
      instance,
      maxManifestBytes: limits.manifestBytes,
      rate: { bytes: limits.bodyRate * limits.idleTimeout, period: limits.idleTimeout * second },
      timeout: limits.retrievalTimeout * second,
    },
  )
  return { upstreams: upstreams.byName, parts: [part('upstreams', upstreams)] }
}
