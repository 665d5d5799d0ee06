import type { Config } from '../config/schema.ts'
import type { AppLimits } from '../http/routes/app.ts'
import type { BodyMemoryInit } from '../http/body-memory.ts'
import type { HttpServerOptions } from '../http/server.ts'
import type { PeerLimits } from '../ipfs/node/peer-limits.ts'
import type { RegistryInit } from '../registry/repositories/registry.ts'

const second = 1000

/** What the configuration allows, as each part wants to be told */
export function appLimits({ limits }: Config): AppLimits {
  const { manifestBytes, ranges, bodyRate, idleTimeout, urlBytes, headerBytes, headerCount } = limits
  return {
    maxManifestBytes: manifestBytes,
    maxRanges: ranges,
    bodyRate: { bytes: bodyRate * idleTimeout, period: idleTimeout * second },
    requests: { urlBytes, headerBytes, headerCount },
  }
}

export function bodyMemoryInit({ limits: { bodyMemory, bodyMemoryPerClient, manifestBytes } }: Config): BodyMemoryInit {
  const atLeast = (bytes: number, least: number): number => (bytes === 0 ? 0 : Math.max(bytes, least))
  return {
    max: atLeast(bodyMemory, Math.max(bodyMemoryPerClient, manifestBytes)),
    maxPerClient: atLeast(bodyMemoryPerClient, manifestBytes),
  }
}

export function httpInit({
  limits,
}: Config): Required<Pick<HttpServerOptions, 'idleTimeout' | 'drainTimeout' | 'limits'>> {
  const { headerBytes, headerCount, headerTimeout, connections, connectionsPerClient } = limits
  return {
    idleTimeout: limits.idleTimeout * second,
    drainTimeout: limits.drainTimeout * second,
    limits: { headerBytes, headerCount, headerTimeout: headerTimeout * second, connections, connectionsPerClient },
  }
}

/** Names under which browsers are answered, as far as the configuration tells */
export function browserNames({ hosts, host, admin }: Config): string[] {
  return [...hosts, host, admin.host]
}

export function registryInit({ missingBlobs, limits: { jsonDepth, descriptors } }: Config): RegistryInit {
  return { missingBlobs, manifestLimits: { depth: jsonDepth, descriptors } }
}

export function peerLimits({ limits }: Config): PeerLimits {
  const { peers, connectionsPerPeer, streamsPerPeer, wantsPerPeer, peerBytes, unaskedBytes } = limits
  return {
    connections: peers,
    connectionsPerPeer,
    streamsPerConnection: streamsPerPeer,
    wantsPerPeer,
    messageBytes: peerBytes,
    unaskedBytes,
  }
}
