import type { Config } from '../../config/schema.ts'
import { BodyTurns } from '../../http/bodies/body-turns.ts'
import { BodyMemory, type BodyMemoryInit } from '../../http/bodies/body-memory.ts'
import type { Certificate } from '../../http/certificate.ts'
import { BrowserHeaders } from '../../http/middleware/browser-headers.ts'
import { BrowserHosts } from '../../http/middleware/browser-hosts.ts'
import { createAdminApp, createApp, type AppComponents, type AppLimits } from '../../http/routes/app.ts'
import type { AdminAddress } from '../../http/routes/ui-administrators.ts'
import type { ReviewUpstreams } from '../../http/routes/ui-upstreams.ts'
import type { MirrorReview } from '../../registry/mirror/mirror-review.ts'
import { usageLimits } from '../../http/usage-limits.ts'
import { HttpServer, type HttpServerOptions } from '../../http/server.ts'
import { Administration } from '../../upkeep/administration.ts'
import type { AccessParts } from './access.ts'
import { AdminSocket } from '../directory/admin-socket.ts'
import { AdminToken } from '../directory/admin-token.ts'
import { second, type Base } from './base.ts'
import type { NameParts } from './names.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { RegistryParts } from './registry.ts'
import { buildStatus, type Status } from './status.ts'
import type { Storage } from './storage.ts'
import type { Upkeep } from './upkeep.ts'
import type { UpstreamParts } from './upstreams.ts'

/** What answers HTTP */
export interface Servers {
  /** The registry's port */
  server: HttpServer
  /** Undefined where administration is on the registry's port */
  adminServer: HttpServer | undefined
  bodies: BodyMemory
  parts: Part[]
}

type ServerComponents = Base & AccessParts & Storage & Network & NameParts & RegistryParts & Upkeep & UpstreamParts

export function buildServers(components: ServerComponents): Servers {
  const { config, directory, inputs } = components
  const { admin, host, port } = config
  const { certificate } = inputs
  const status = buildStatus(components)
  const app = appComponents(components, status)
  const { log } = app
  const hosts = new BrowserHosts({
    names: [...config.hosts, host, admin.host],
    certificate: certificate && (() => certificate.current),
  })
  const token = new AdminToken({ log }, { dataDir: directory.path, path: admin.tokenFile })
  const adminAccess = { token, metrics: admin.metrics }
  const browserHeaders = new BrowserHeaders({ hsts: config.tls.hsts })
  const init = { browserHeaders, hosts, limits: appLimits(config) }
  const options = serverOptions(config)

  const socket = new AdminSocket(
    { app: createAdminApp(app, init), log },
    {
      dataDir: directory.path,
      ...options,
      // the owner gets in, however many others are connected
      limits: { ...options.limits, connections: 0, connectionsPerClient: 0 },
    },
  )
  const adminServer =
    admin.port === undefined
      ? undefined
      : new HttpServer(
          { app: createAdminApp(app, { ...init, admin: adminAccess, ui: config.ui }) },
          { ...options, host: admin.host, port: admin.port },
        )
  const ofAdministration =
    adminServer === undefined ? { admin: adminAccess } : { adminAddress: () => adminAddress(admin.host, adminServer) }
  const server = new HttpServer(
    { app: createApp(app, { ...init, ...ofAdministration, ui: config.ui }) },
    { ...options, host, port, tls: certificate?.current },
  )
  return {
    server,
    adminServer,
    bodies: app.bodies,
    parts: [
      ...status.parts,
      part('admin token', { start: async () => await token.start() }),
      portsPart([socket, ...(adminServer === undefined ? [] : [adminServer]), server]),
      ...(certificate === undefined ? [] : [certificatePart(certificate, server)]),
    ],
  }
}

function appComponents(components: ServerComponents, status: Status): AppComponents {
  const { access, accessReview, auditLog, config, events, inputs, isReady, metrics, readOnly, registry, tracing } =
    components
  return {
    access,
    accessReview,
    auditLog,
    administration: new Administration(components),
    bodies: new BodyMemory(bodyMemoryInit(config)),
    events,
    turns: new BodyTurns(),
    readOnly,
    registry,
    reviewUpstreams: reviewUpstreamsOf(components),
    status,
    maintenance: components.maintenance,
    pastImages: components.pastImages,
    health: { notReady: () => (isReady() ? undefined : 'starting or stopping'), note: () => readOnly.note },
    instance: inputs.upstreams?.instance,
    usage: usageLimits(config.limits),
    metrics,
    tracer: tracing,
    log: components.log.child({ module: 'http' }),
  }
}

/** For pages: a browser finds a server that listens on all addresses by the one that it knows */
function adminAddress(host: string, { address }: Pick<HttpServer, 'address'>): AdminAddress {
  return { host: ['0.0.0.0', '::'].includes(host) ? undefined : host, port: address.port }
}

function reviewUpstreamsOf({
  index,
  metrics,
  upstreams,
}: Pick<Base, 'index' | 'metrics'> & UpstreamParts): ReviewUpstreams | undefined {
  if (upstreams === undefined) {
    return undefined
  }
  let review: Promise<MirrorReview> | undefined
  return async signal => {
    review ??= import('../../registry/mirror/mirror-review.ts').then(
      ({ MirrorReview }) => new MirrorReview({ index, metrics, upstreams }),
    )
    return await (await review).upstreams(signal)
  }
}

/** They stop together, so that no request is given up while another server still answers its own */
function portsPart(servers: ReadonlyArray<{ start: () => Promise<void>; stop: () => Promise<void> }>): Part {
  const stop = async (): Promise<void> => {
    await Promise.all(
      servers.map(async server => {
        await server.stop()
      }),
    )
  }
  const start = async (): Promise<void> => {
    try {
      for (const server of servers) {
        await server.start()
      }
    } catch (err) {
      await stop()
      throw err
    }
  }
  return { name: 'admin socket, admin port and registry port', start, stop }
}

function certificatePart(certificate: Certificate, server: HttpServer): Part {
  return part('certificate', {
    start: async () => {
      // it may have been replaced since the server was built
      server.setCertificate(certificate.current)
      certificate.start(next => {
        server.setCertificate(next)
      })
    },
    stop: async () => await certificate.stop(),
  })
}

function appLimits({ limits }: Config): AppLimits {
  const { manifestBytes, ranges, bodyRate, idleTimeout, urlBytes, headerBytes, headerCount } = limits
  return {
    maxManifestBytes: manifestBytes,
    maxRanges: ranges,
    bodyRate: { bytes: bodyRate * idleTimeout, period: idleTimeout * second },
    requests: { urlBytes, headerBytes, headerCount },
  }
}

/** A limit that is set has room for at least one manifest; 0 means unlimited */
function bodyMemoryInit({ limits: { bodyMemory, bodyMemoryPerClient, manifestBytes } }: Config): BodyMemoryInit {
  const atLeast = (bytes: number, least: number): number => (bytes === 0 ? 0 : Math.max(bytes, least))
  return {
    max: atLeast(bodyMemory, Math.max(bodyMemoryPerClient, manifestBytes)),
    maxPerClient: atLeast(bodyMemoryPerClient, manifestBytes),
  }
}

function serverOptions({
  limits,
}: Config): Required<Pick<HttpServerOptions, 'idleTimeout' | 'drainTimeout' | 'limits'>> {
  const { headerBytes, headerCount, headerTimeout, connections, connectionsPerClient } = limits
  return {
    idleTimeout: limits.idleTimeout * second,
    drainTimeout: limits.drainTimeout * second,
    limits: { headerBytes, headerCount, headerTimeout: headerTimeout * second, connections, connectionsPerClient },
  }
}
