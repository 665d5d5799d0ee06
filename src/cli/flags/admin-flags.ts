import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { openSocketPath, socketName } from '../../appliance/directory/admin-socket-path.ts'
import type { Connection, ApplianceClient } from '../../client/appliance/appliance-client.ts'
import { ClientError } from '../../remote/errors.ts'
import { adminTokenFile, loadConfig, SYSTEM_FILE } from '../../config/load.ts'
import { configOf } from './config-flags.ts'
import { commandOfContainer } from './container-command.ts'
import type { CliContext } from '../process/context.ts'
import { defaultRegistryHost } from './default-hosts.ts'

export interface AdminFlags {
  dataDir?: string
  config?: string
  dockerRegistryHost?: string
  adminTokenFile?: string
  plainHttp?: true
  json?: true
}

/** Adds the flags of a command that administers an appliance */
export function addAdminFlags(command: Command): Command {
  return command
    .option(
      '--data-dir <path>',
      'data directory of the server on this machine (default: from the configuration of the server)',
    )
    .option('--config <file>', `configuration file of that server (or IPDR_CONFIG, or ${SYSTEM_FILE} if it exists)`)
    .option(
      '--docker-registry-host <host>',
      'a server on another machine, which wants its admin token: host:port, or a URL with https:// or http://',
    )
    .option('--admin-token-file <file>', 'file with that token (or IPDR_ADMIN_TOKEN_FILE)')
    .option('--plain-http', 'allow a server on another machine without TLS')
    .option('--json', 'print JSON')
}

/**
 * Connects to the appliance: by the socket of the server on this machine, or with the admin token if the flags name a
 * host or a token
 *
 * @throws ConfigError, ClientError
 */
export async function openAdministration(
  flags: AdminFlags,
  context: CliContext,
): Promise<{ appliance: ApplianceClient; connection: Connection }> {
  const { ApplianceClient } = await import('../../client/appliance/appliance-client.ts')
  const connection = await connect(flags, context)
  return { appliance: new ApplianceClient(connection), connection }
}

async function connect(flags: AdminFlags, context: CliContext): Promise<Connection> {
  if (flags.dockerRegistryHost === undefined && flags.adminTokenFile === undefined) {
    return await connectToSocket(await dataDirectoryOf(flags, context))
  }
  const { TokenConnection } = await import('../../client/appliance/admin-connections.ts')
  const file = flags.adminTokenFile ?? adminTokenFile(context.env)
  return new TokenConnection({
    host: flags.dockerRegistryHost ?? defaultRegistryHost,
    plainHttp: flags.plainHttp === true,
    token: file && (await readToken(file)),
  })
}

/** Reaches the server on a data directory of this machine */
export async function connectToSocket(dataDir: string): Promise<Connection> {
  const { SocketConnection } = await import('../../client/appliance/admin-connections.ts')
  return new SocketConnection(resolve(dataDir, socketName), () => openSocketPath(dataDir))
}

/**
 * The data directory in the configuration that the server has too; in a container, from the command line of the server
 * there
 */
export async function dataDirectoryOf({ config, dataDir }: AdminFlags, context: CliContext): Promise<string> {
  if (dataDir !== undefined) {
    return dataDir
  }
  const { env } = context
  return (
    config === undefined
      ? configOf(await commandOfContainer(), context)
      : loadConfig({ file: config, ...(env && { env }) })
  ).dataDir
}

async function readToken(file: string): Promise<string> {
  let token: string
  try {
    token = (await readFile(file, 'utf8')).trim()
  } catch (err) {
    throw new ClientError(`admin token ${file} can't be read: ${(err as Error).message}`, { cause: err })
  }
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ClientError(`${file} does not hold a token, which is one line of printable ASCII without spaces`)
  }
  return token
}
