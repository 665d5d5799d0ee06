import { randomUUID } from 'node:crypto'
import { ClientError } from '../../remote/errors.ts'
import { DockerEngine } from './docker-engine.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { RegistryClient } from '../../remote/registry/registry-client.ts'
import { openRegistrySource } from '../registry/registry-source.ts'

/** In the temporary registry */
const repository = 'ipdr/push'

export interface EngineSourceInit {
  image: string
  /** Starts a registry in this process, on a loopback address */
  startRegistry: () => Promise<{ host: string } & AsyncDisposable>
  /** Called if the image gets another CID than `docker push` would give it */
  warn: (text: string) => void
}

/**
 * Opens an image of the Docker Engine. The engine pushes it to a registry in this process, so its layers are compressed
 * as by `docker push` and it gets the same CID as if docker had pushed it to an appliance. If the engine can't reach
 * this process, for example because it runs on another machine, the image is read as `docker save` writes it: the same
 * image, but with uncompressed layers and so with another CID.
 *
 * @throws ClientError if no engine answers, or it does not have the image
 */
export async function openEngineSource(
  { image, startRegistry, warn }: EngineSourceInit,
  options: AbortOptions = {},
): Promise<ImageSource> {
  const engine = await DockerEngine.open()
  if (!(await engine.hasName(image, options))) {
    warn(
      'The image has no name in the engine, so its layers stay uncompressed: it gets another CID than by docker push.',
    )
    return await engine.openSource(image, options)
  }
  const registry = await startRegistry()
  const tag = randomUUID()
  try {
    await engine.push(image, { repository: `${registry.host}/${repository}`, tag }, options)
  } catch (err) {
    await registry[Symbol.asyncDispose]()
    if (!(err instanceof ClientError)) {
      throw err
    }
    options.signal?.throwIfAborted()
    warn(
      "The engine can't push to this process, so the layers stay uncompressed: " +
        `the image gets another CID than by docker push. (${err.message})`,
    )
    return await engine.openSource(image, options)
  }
  try {
    const client = await RegistryClient.open({ host: registry.host, plainHttp: true })
    const source = await openRegistrySource(client, repository, { tag }, options)
    return {
      ...source,
      [Symbol.asyncDispose]: async () => {
        await registry[Symbol.asyncDispose]()
      },
    }
  } catch (err) {
    await registry[Symbol.asyncDispose]()
    throw err
  }
}
