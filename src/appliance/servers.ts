import { AdminSocket } from './admin-socket.ts'
import { AdminToken } from './admin-token.ts'
import { appLimits, httpInit } from './limits.ts'
import type { Config } from '../config/schema.ts'
import { createAdminApp, createApp, type AppComponents } from '../http/routes/app.ts'
import type { BrowserHosts } from '../http/middleware/browser-hosts.ts'
import type { Certificate } from '../http/certificate.ts'
import { HttpServer } from '../http/server.ts'

export interface ServersComponents extends AppComponents {
  certificate: Certificate | undefined
  hosts: BrowserHosts
}

/** What answers HTTP, and the parts of it that start and stop, in this order */
export interface Servers {
  registry: HttpServer
  /** Undefined where the registry's port is that of administration, too */
  admin: HttpServer | undefined
  parts: Array<{ name: string; start: () => Promise<void>; stop: () => Promise<void> }>
}

export function buildServers(
  { certificate, hosts, ...components }: ServersComponents,
  dataDir: string,
  config: Config,
): Servers {
  const {
    host,
    port,
    admin: { host: adminHost, port: adminPort, metrics, tokenFile },
  } = config
  const limits = appLimits(config)
  const init = httpInit(config)
  const token = new AdminToken(components, { dataDir, path: tokenFile })
  const access = { token, metrics }
  const app = createApp(components, { admin: adminPort === undefined ? access : undefined, hosts, limits })
  const registry = new HttpServer({ app }, { tls: certificate?.current, host, port, ...init })
  const admin =
    adminPort === undefined
      ? undefined
      : new HttpServer(
          { app: createAdminApp(components, { admin: access, hosts, limits }) },
          { host: adminHost, port: adminPort, ...init },
        )
  // its owner gets in, however many others are connected
  const unlimited = { ...init, limits: { ...init.limits, connections: 0, connectionsPerClient: 0 } }
  const socket = new AdminSocket(
    { app: createAdminApp(components, { hosts, limits }), log: components.log },
    { dataDir, ...unlimited },
  )
  return {
    registry,
    admin,
    parts: [
      {
        name: 'admin token',
        start: async () => {
          await token.start()
        },
        stop: async () => {},
      },
      portsPart([socket, ...(admin === undefined ? [] : [admin]), registry]),
      ...(certificate === undefined ? [] : [certificatePart(certificate, registry)]),
    ],
  }
}

/** They stop together: requests that are under way on one get no more time because of those on another */
function portsPart(
  servers: ReadonlyArray<{ start: () => Promise<void>; stop: () => Promise<void> }>,
): Servers['parts'][number] {
  const stop = async (): Promise<void> => {
    await Promise.all(
      servers.map(async server => {
        await server.stop()
      }),
    )
  }
  return {
    name: 'admin socket, admin port and registry port',
    start: async () => {
      try {
        for (const server of servers) {
          await server.start()
        }
      } catch (err) {
        await stop()
        throw err
      }
    },
    stop,
  }
}

function certificatePart(certificate: Certificate, server: HttpServer): Servers['parts'][number] {
  return {
    name: 'certificate',
    start: async () => {
      // it may have been replaced since the server was made
      server.setCertificate(certificate.current)
      certificate.start(next => {
        server.setCertificate(next)
      })
    },
    stop: async () => {
      await certificate.stop()
    },
  }
}
