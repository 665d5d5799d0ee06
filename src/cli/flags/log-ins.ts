import { dockerConfigFile, podmanAuthFile } from '../../config/load.ts'
import type { Credentials } from '../../remote/registry/docker-credentials.ts'
import type { CliContext } from '../process/context.ts'

/** Looks up the log-ins of `docker login` and `ipdr login`, then those of `podman login`, host by host */
export function dockerLogIns({ env }: CliContext): (host: string) => Promise<Credentials | undefined> {
  return async host => {
    const { readCredentials } = await import('../../remote/registry/docker-credentials.ts')
    return (await readCredentials(dockerConfigFile(env), host)) ?? (await readCredentials(podmanAuthFile(env), host))
  }
}
