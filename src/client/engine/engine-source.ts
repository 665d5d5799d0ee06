import { randomUUID } from 'node:crypto'
import { ClientError } from '../errors.ts'
import { DockerEngine } from './docker-engine.ts'
import type { AbortOptions } from '../abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { RegistryClient } from '../registry/registry-client.ts'
import { openRegistrySource } from '../registry/registry-source.ts'

const repository = 'ipdr/push'

export interface EngineSourceInit {
  image: string
  /** Starts a registry in this process, on the loopback interface */
  startRegistry: () => Promise<{ host: string } & AsyncDisposable>
  /** Told where the image gets another CID than docker would give it */
  warn: (text: string) => void
}

/**
 * Opens an image of the Docker Engine. The engine pushes it to a registry in this process: it is compressed as by `docker push` then, and has
 * the same CID as if docker had pushed it to an appliance. An engine that is elsewhere and can't reach this process packs it as for
 * `docker save`: the same image, but with layers that are not compressed, and so another CID.
 *
 * @throws ClientError where no engine answers or it has not got the image
 */
export async function openEngineSource(
  { image, startRegistry, warn }: EngineSourceInit,
  options: AbortOptions = {},
): Promise<ImageSource> {
  const engine = await DockerEngine.open()
  if (!(await engine.hasName(image, options))) {
    warn(
      'The image has no name in the engine, so its layers are taken uncompressed: docker push would give it another CID.',
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
      `The engine can't push to this process, so its layers are taken uncompressed: docker push would give it another CID. (${err.message})`,
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
