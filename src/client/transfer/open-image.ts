import type { Logger } from '../../log.ts'
import { gatewayReader } from '../../ipfs/retrieval/gateway-blocks.ts'
import { parseHttpAddress } from '../../ipfs/retrieval/fetch-bytes.ts'
import type { ContentReader } from '../../ipfs/content-store.ts'
import type { KuboContentStore } from '../../ipfs/kubo/kubo-content-store.ts'
import { parseRoot, repositoryOf, toDockerFormat, type RootReference } from '../../oci/cid.ts'
import { parseImageName, type ImageName } from '../../oci/image-name.ts'
import { ClientError } from '../errors.ts'
import { openContentSource } from '../ipfs/content-source.ts'
import type { Credentials } from '../registry/docker-credentials.ts'
import type { AbortOptions } from '../abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { answers, openKubo } from '../ipfs/open-kubo.ts'
import { RegistryClient } from '../registry/registry-client.ts'
import { openRegistrySource } from '../registry/registry-source.ts'

export interface OpenImageInit {
  /** A CID or IPNS name in any form, or `[host/]repository[:tag]` */
  image: string
  /** The appliance */
  registryHost: string
  /** A kubo, which is asked instead of the appliance; undefined: only where no appliance answers */
  ipfsHost?: string | undefined
  /** A kubo that is asked where no appliance answers */
  defaultIpfsHost: string
  /** A gateway, which is asked instead of anything else */
  ipfsGateway?: string | undefined
  /** Of the IPFS node that is started where nothing else answers */
  network: 'public' | 'lan'
  peers: readonly string[]
  plainHttp: boolean
  credentials: (host: string) => Promise<Credentials | undefined>
  log: Logger
}

/** An image, and the name that it is to have here */
export interface OpenImage {
  source: ImageSource
  /** `host/repository` */
  repository: string
  tag: string
}

/**
 * Finds an image by whatever it is named
 *
 * @throws ClientError, OciError
 */
export async function openImage(init: OpenImageInit, options: AbortOptions): Promise<OpenImage> {
  const root = parseRoot(init.image)
  if (root !== undefined) {
    const repository = `${bareHost(init.registryHost)}/${toDockerFormat(init.image)!}`
    return { source: await openRoot(init, root, options), repository, tag: 'latest' }
  }
  const name = parseImageName(init.image)
  const host = name.host ?? init.registryHost
  const client = await RegistryClient.open({ ...init, host })
  await requireRegistry(client, init, name, options)
  return {
    source: await openRegistrySource(client, name.repository, name.reference, options),
    repository: `${bareHost(host)}/${name.repository}`,
    tag: name.reference.tag ?? name.reference.digest.replace(':', '-'),
  }
}

async function openRoot(init: OpenImageInit, root: RootReference, options: AbortOptions): Promise<ImageSource> {
  if (init.ipfsGateway !== undefined) {
    if (root.cid === undefined) {
      throw new ClientError("what a gateway says of a name can't be checked", {
        hint: 'Ask an appliance or a kubo (--ipfs-host) for it, or the gateway for a CID.',
      })
    }
    return await openContentSource(gatewayReader(parseAddress(init.ipfsGateway)), root.cid, options)
  }
  if (init.ipfsHost !== undefined) {
    return await openFromKubo(openKubo(init.ipfsHost, options), root, options)
  }
  const client = await RegistryClient.open({ ...init, host: init.registryHost })
  if (await client.ping(options)) {
    return await openRegistrySource(client, repositoryOf(root), { tag: 'latest' }, options)
  }
  const kubo = openKubo(init.defaultIpfsHost, options)
  return (await answers(kubo, options))
    ? await openFromKubo(kubo, root, options)
    : await openFromOwnNode(init, root, options)
}

async function openFromKubo(kubo: KuboContentStore, root: RootReference, options: AbortOptions): Promise<ImageSource> {
  if (root.cid !== undefined) {
    return await openContentSource(kubo, root.cid, options)
  }
  const target = await kubo.resolveName(root.name, options)
  const [, cid, path] = /^\/ipfs\/([^/]+)((?:\/[^/]+)*)\/?$/.exec(target) ?? []
  if (cid === undefined) {
    throw new ClientError(`${root.name} leads to ${target}, which is nothing in IPFS`)
  }
  return await openContentSource(
    kubo,
    await follow(kubo, root.name, { cid, path: path!.split('/').slice(1) }, options),
    options,
  )
}

async function openFromOwnNode(init: OpenImageInit, root: RootReference, options: AbortOptions): Promise<ImageSource> {
  // loaded when needed: it brings the whole IPFS node with it
  const { startTemporaryNode } = await import('../../ipfs/retrieval/temporary-node.ts')
  const node = await startTemporaryNode(init, init)
  const close = async (): Promise<void> => {
    await node[Symbol.asyncDispose]()
  }
  try {
    const cid = root.cid ?? (await follow(node.reader, root.name, await node.resolveName(root.name, options), options))
    return await openContentSource(node.reader, cid, options, close)
  } catch (err) {
    await close()
    throw err
  }
}

async function follow(
  reader: ContentReader,
  name: string,
  { cid, path }: { cid: string; path: readonly string[] },
  options: AbortOptions,
): Promise<string> {
  const found = path.length === 0 ? { cid } : await reader.find(cid, path, options)
  if (found === undefined) {
    throw new ClientError(`${name} leads to /ipfs/${[cid, ...path].join('/')}, which is not there`)
  }
  return found.cid
}

async function requireRegistry(
  client: RegistryClient,
  init: OpenImageInit,
  name: ImageName,
  options: AbortOptions,
): Promise<void> {
  if (name.host === undefined && !(await client.ping(options))) {
    throw new ClientError(`no appliance answers at ${init.registryHost}, which is asked for ${name.repository}`, {
      hint: 'Start one (ipdr server), or say where it is by --docker-registry-host. An image can be had without one by its CID.',
    })
  }
}

function parseAddress(text: string): URL {
  try {
    return parseHttpAddress(text)
  } catch (err) {
    throw err instanceof RangeError ? new ClientError(err.message) : err
  }
}

function bareHost(host: string): string {
  return host.replace(/^https?:\/\//i, '').replace(/\/$/, '')
}
