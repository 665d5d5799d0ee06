import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { openSocketPath, socketName } from '../../appliance/admin-socket-path.ts'
import type { Connection, ApplianceClient } from '../../client/appliance/appliance-client.ts'
import { ClientError } from '../../client/errors.ts'
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

/** The flags of a command that administers an appliance */
export function addAdminFlags(command: Command): Command {
  return command
    .option(
      '--data-dir <path>',
      'data directory of the server on this machine; without, as the configuration of the server says',
    )
    .option('--config <file>', `configuration file of that server (or IPDR_CONFIG; else ${SYSTEM_FILE}, if there)`)
    .option(
      '--docker-registry-host <host>',
      'a server elsewhere, which wants its token: host:port, or with https:// or http:// before it',
    )
    .option('--admin-token-file <file>', 'file with that token (or IPDR_ADMIN_TOKEN_FILE)')
    .option('--plain-http', 'reach a server elsewhere without TLS')
    .option('--json', 'as JSON')
}

/**
 * By the socket of the server on this machine, unless the flags name another way
 *
 * @throws ConfigError, ClientError
 */
export async function openAdministration(
  flags: AdminFlags,
  context: CliContext,
): Promise<{ appliance: ApplianceClient }> {
  const { ApplianceClient } = await import('../../client/appliance/appliance-client.ts')
  return { appliance: new ApplianceClient(await connect(flags, context)) }
}

async function connect(flags: AdminFlags, context: CliContext): Promise<Connection> {
  const { SocketConnection, TokenConnection } = await import('../../client/appliance/admin-connections.ts')
  if (flags.dockerRegistryHost === undefined && flags.adminTokenFile === undefined) {
    const dataDir = await dataDirectoryOf(flags, context)
    return new SocketConnection(resolve(dataDir, socketName), () => openSocketPath(dataDir))
  }
  const file = flags.adminTokenFile ?? adminTokenFile(context.env)
  return new TokenConnection({
    host: flags.dockerRegistryHost ?? defaultRegistryHost,
    plainHttp: flags.plainHttp === true,
    token: file && (await readToken(file)),
  })
}

/** Of the server of the same configuration; in a container, of the one that this was started for */
async function dataDirectoryOf({ config, dataDir }: AdminFlags, context: CliContext): Promise<string> {
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
    throw new ClientError(`${file} holds no token: that is one line of letters, digits and signs`)
  }
  return token
}
