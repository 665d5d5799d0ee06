import type { Command } from 'commander'
import { dockerConfigFile } from '../../config/load.ts'
import type { ApplianceClient } from '../../client/appliance/appliance-client.ts'
import type { RegistryClient } from '../../client/registry/registry-client.ts'
import type { CliContext } from '../process/context.ts'
import { defaultRegistryHost } from './default-hosts.ts'

export interface ApplianceFlags {
  dockerRegistryHost: string
  plainHttp?: true
  json?: true
}

/** The flags of a command that asks an appliance */
export function addApplianceFlags(command: Command): Command {
  return command
    .option(
      '--docker-registry-host <host>',
      'the appliance: host:port, or with https:// or http:// before it',
      defaultRegistryHost,
    )
    .option('--plain-http', 'reach it without TLS; on this machine it is anyway')
    .option('--json', 'as JSON')
}

/** @param host goes over the flag */
export async function openAppliance(
  flags: ApplianceFlags,
  { env }: CliContext,
  host?: string,
): Promise<{ registry: RegistryClient; appliance: ApplianceClient }> {
  const [{ RegistryClient }, { ApplianceClient }, { readCredentials }] = await Promise.all([
    import('../../client/registry/registry-client.ts'),
    import('../../client/appliance/appliance-client.ts'),
    import('../../client/registry/docker-credentials.ts'),
  ])
  const registry = await RegistryClient.open({
    host: host ?? flags.dockerRegistryHost,
    plainHttp: flags.plainHttp === true,
    credentials: async host => await readCredentials(dockerConfigFile(env), host),
  })
  return { registry, appliance: new ApplianceClient(registry) }
}
