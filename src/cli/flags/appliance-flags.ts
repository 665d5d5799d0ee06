import type { Command } from 'commander'

import type { ApplianceClient } from '../../client/appliance/appliance-client.ts'
import type { RegistryClient } from '../../remote/registry/registry-client.ts'
import type { CliContext } from '../process/context.ts'
import { defaultRegistryHost } from './default-hosts.ts'
import { dockerLogIns } from './log-ins.ts'

export interface ApplianceFlags {
  dockerRegistryHost: string
  plainHttp?: true
  json?: true
}

/** Adds the flags of a command that asks an appliance what everybody may ask */
export function addApplianceFlags(command: Command): Command {
  return command
    .option(
      '--docker-registry-host <host>',
      'the appliance: host:port, or a URL with https:// or http://',
      defaultRegistryHost,
    )
    .option('--plain-http', 'allow an appliance on another machine without TLS')
    .option('--json', 'print JSON')
}

/**
 * @param init.host takes precedence over the flag
 * @param init.onlyCached whether a mirror tells only of what it has
 */
export async function openAppliance(
  flags: ApplianceFlags,
  context: CliContext,
  { host, onlyCached = false }: { host?: string | undefined; onlyCached?: boolean } = {},
): Promise<{ registry: RegistryClient; appliance: ApplianceClient }> {
  const [{ RegistryClient }, { ApplianceClient }] = await Promise.all([
    import('../../remote/registry/registry-client.ts'),
    import('../../client/appliance/appliance-client.ts'),
  ])
  const registry = await RegistryClient.open({
    host: host ?? flags.dockerRegistryHost,
    plainHttp: flags.plainHttp === true,
    onlyCached,
    credentials: dockerLogIns(context),
  })
  return { registry, appliance: new ApplianceClient(registry) }
}
