/**
 * Push and pull: this file and pull.ts are what the commands call. Each parses the names that it was given
 * (parse-source.ts, open-image.ts), opens a source and a target, and has images/copy-image.ts copy. May import all
 * other rooms; none of them imports this one.
 */
import { KuboContentStore } from '../../ipfs/kubo/kubo-content-store.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import { parseImageName, type ImageName } from '../../oci/image-name.ts'
import { openArchive } from '../files/unpack-archive.ts'
import { ClientError } from '../../remote/errors.ts'
import { ContentTarget } from '../ipfs/content-target.ts'
import { copyImage, type CopyOptions } from '../images/copy-image.ts'
import type { Credentials } from '../../remote/registry/docker-credentials.ts'
import { openEngineSource, type EngineSourceInit } from '../engine/engine-source.ts'
import { directoryFiles } from '../files/image-files.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { answers, openKubo } from '../ipfs/open-kubo.ts'
import { openFilesSource } from '../files/files-source.ts'
import { RegistryClient } from '../../remote/registry/registry-client.ts'
import { openRegistrySource } from '../registry/registry-source.ts'
import { RegistryTarget } from '../registry/registry-target.ts'
import { parseSource } from './parse-source.ts'

export interface PushInit extends Omit<EngineSourceInit, 'image'> {
  /** `[host/]repository[:tag]`: the name in the Docker Engine, and without the host the name in the appliance */
  image: string
  /** Where the image comes from, as parseSource reads it. @default the Docker Engine */
  from?: string | undefined
  /** Bytes that an archive may unpack to. @default 100 times its size, but at least 64 MiB */
  maxUnpacked?: number | undefined
  /** The appliance to push to */
  registryHost: string
  /** A kubo to push to instead of the appliance */
  ipfsHost?: string | undefined
  /** A kubo to push to if no appliance answers and `ipfsHost` names none */
  defaultIpfsHost: string
  plainHttp: boolean
  credentials: (host: string) => Promise<Credentials | undefined>
}

export interface Pushed {
  /** CID of the image root */
  root: string
  /** Manifests that an index names and the source does not have */
  missing: Descriptor[]
}

/**
 * Pushes an image to an appliance or to a kubo; it gets the same CID from both
 *
 * @throws ClientError, OciError
 */
export async function push(init: PushInit, options: CopyOptions = {}): Promise<Pushed> {
  const image = parseImageName(init.image)
  const target = await openTarget(init, options)
  await using source = await openSource(init, options)
  return target instanceof KuboContentStore
    ? await pushToKubo(source, target, options)
    : await pushToRegistry(source, target, image, init, options)
}

async function pushToKubo(source: ImageSource, kubo: KuboContentStore, options: CopyOptions): Promise<Pushed> {
  const target = new ContentTarget(kubo)
  const { missing } = await copyImage(source, target, options)
  await kubo.pin(target.root!, options)
  return { root: target.root!, missing }
}

async function pushToRegistry(
  source: ImageSource,
  client: RegistryClient,
  image: ImageName,
  init: PushInit,
  options: CopyOptions,
): Promise<Pushed> {
  const { reference, repository } = image
  const target = new RegistryTarget(client, {
    repository,
    tag: reference.digest ?? reference.tag,
    from: await mountable(init, client),
  })
  const { missing } = await copyImage(source, target, options)
  if (target.root === undefined) {
    throw new ClientError(`${client.host} has the image now, but gave it no CID: it is not an IPDR appliance`)
  }
  return { root: target.root, missing }
}

/** The repository that the image comes from, if it is in the same registry: its blobs are mounted instead of sent */
async function mountable({ from }: PushInit, client: RegistryClient): Promise<string | undefined> {
  const source = from === undefined ? undefined : await parseSource(from)
  return source?.kind === 'registry' && source.host === client.host ? source.name.repository : undefined
}

async function openTarget(init: PushInit, options: AbortOptions): Promise<RegistryClient | KuboContentStore> {
  if (init.ipfsHost !== undefined) {
    const kubo = openKubo(init.ipfsHost, options)
    await kubo.ping(options)
    return kubo
  }
  const client = await RegistryClient.open({
    host: init.registryHost,
    plainHttp: init.plainHttp,
    credentials: init.credentials,
  })
  if (await client.ping(options)) {
    return client
  }
  const kubo = openKubo(init.defaultIpfsHost, options)
  if (!(await answers(kubo, options))) {
    throw new ClientError(
      `neither an appliance at ${init.registryHost} nor a kubo at ${init.defaultIpfsHost} answers`,
      {
        hint: 'Start an appliance (ipdr server), or name one by --docker-registry-host, or a kubo by --ipfs-host.',
      },
    )
  }
  return kubo
}

async function openSource(init: PushInit, options: AbortOptions): Promise<ImageSource> {
  const source = init.from === undefined ? { kind: 'engine' as const, image: init.image } : await parseSource(init.from)
  switch (source.kind) {
    case 'engine':
      return await openEngineSource(
        { image: source.image, startRegistry: init.startRegistry, warn: init.warn },
        options,
      )
    case 'layout':
      return await openFilesSource(directoryFiles(source.path), source.tag, options)
    case 'archive':
      return await openFilesSource(
        await openArchive(source.path, { ...options, maxUnpacked: init.maxUnpacked }),
        source.tag,
        options,
      )
    case 'registry': {
      const client = await RegistryClient.open({
        host: source.host,
        plainHttp: init.plainHttp,
        credentials: init.credentials,
      })
      return await openRegistrySource(client, source.name.repository, source.name.reference, options)
    }
  }
}
