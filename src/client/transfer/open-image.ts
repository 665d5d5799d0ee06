import type { Logger } from '../../log.ts'
import { gatewayReader } from '../../ipfs/retrieval/gateway-blocks.ts'
import type { ContentReader } from '../../ipfs/content-store.ts'
import type { KuboContentStore } from '../../ipfs/kubo/kubo-content-store.ts'
import { parseRoot, repositoryOf, toDockerFormat, type RootReference } from '../../oci/cid.ts'
import { parseImageName, type ImageName } from '../../oci/image-name.ts'
import { ClientError } from '../../remote/errors.ts'
import { openContentSource } from '../ipfs/content-source.ts'
import type { Credentials } from '../../remote/registry/docker-credentials.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'
import type { ImageSource } from '../images/image-source.ts'
import { answers, openKubo, parseAddress } from '../ipfs/open-kubo.ts'
import { RegistryClient } from '../../remote/registry/registry-client.ts'
import { openRegistrySource } from '../registry/registry-source.ts'

export interface OpenImageInit {
  /** A CID or IPNS name in any form, or `[host/]repository[:tag]` */
  image: string
  /** The appliance */
  registryHost: string
  /** A state of the repository, or a time (RFC 3339), as of which the image is pulled; @default now */
  at?: number | string | undefined
  /** A kubo to read from instead of the appliance */
  ipfsHost?: string | undefined
  /** A kubo to read from if no appliance answers and `ipfsHost` names none */
  defaultIpfsHost: string
  /** A gateway to read from instead of anything else */
  ipfsGateway?: string | undefined
  /** Network profile of the IPFS node that is started if nothing else answers */
  network: 'public' | 'lan'
  /** Multiaddrs that this node connects to */
  peers: readonly string[]
  plainHttp: boolean
  credentials: (host: string) => Promise<Credentials | undefined>
  /** Called once it is known where the image comes from */
  onSource?: ((where: string) => void) | undefined
  log: Logger
}

/** An image, and the name that it gets in the Docker Engine */
export interface OpenImage {
  source: ImageSource
  /** `host/repository` */
  repository: string
  tag: string
}

/**
 * Opens the image that a text names: a CID or IPNS name from IPFS, anything else from a registry
 *
 * @throws ClientError, OciError
 */
export async function openImage(init: OpenImageInit, options: AbortOptions): Promise<OpenImage> {
  const root = parseRoot(init.image)
  if (root !== undefined && init.at !== undefined) {
    throw new ClientError('a CID or IPNS name has no earlier state: name a repository of an appliance')
  }
  if (root !== undefined) {
    const repository = `${bareHost(init.registryHost)}/${toDockerFormat(init.image)!}`
    return { source: await openRoot(init, root, options), repository, tag: 'latest' }
  }
  const name = parseImageName(init.image)
  const host = name.host ?? init.registryHost
  const client = await RegistryClient.open({ ...init, host })
  await requireRegistry(client, init, name, options)
  init.onSource?.(bareHost(host))
  return {
    source: await openRegistrySource(client, name.repository, name.reference, options),
    repository: `${bareHost(host)}/${name.repository}`,
    tag: name.reference.tag ?? name.reference.digest.replace(':', '-'),
  }
}

/**
 * A CID or IPNS name: from the gateway or kubo that is named, else the appliance, else a local kubo, else a node of
 * this process
 */
async function openRoot(init: OpenImageInit, root: RootReference, options: AbortOptions): Promise<ImageSource> {
  if (init.ipfsGateway !== undefined) {
    if (root.cid === undefined) {
      throw new ClientError("a gateway's answer for an IPNS name can't be checked", {
        hint: 'Pull the name from an appliance or a kubo (--ipfs-host), or pull a CID from the gateway.',
      })
    }
    init.onSource?.(init.ipfsGateway)
    return await openContentSource(gatewayReader(parseAddress(init.ipfsGateway)), root.cid, options)
  }
  if (init.ipfsHost !== undefined) {
    init.onSource?.(init.ipfsHost)
    return await openFromKubo(openKubo(init.ipfsHost, options), root, options)
  }
  const client = await RegistryClient.open({ ...init, host: init.registryHost })
  if (await client.ping(options)) {
    init.onSource?.(bareHost(init.registryHost))
    return await openRegistrySource(client, repositoryOf(root), { tag: 'latest' }, options)
  }
  const kubo = openKubo(init.defaultIpfsHost, options)
  const isThere = await answers(kubo, options)
  init.onSource?.(isThere ? init.defaultIpfsHost : 'peers')
  return isThere ? await openFromKubo(kubo, root, options) : await openFromOwnNode(init, root, options)
}

async function openFromKubo(kubo: KuboContentStore, root: RootReference, options: AbortOptions): Promise<ImageSource> {
  if (root.cid !== undefined) {
    return await openContentSource(kubo, root.cid, options)
  }
  const target = await kubo.resolveName(root.name, options)
  const [, cid, path] = /^\/ipfs\/([^/]+)((?:\/[^/]+)*)\/?$/.exec(target) ?? []
  if (cid === undefined) {
    throw new ClientError(`${root.name} leads to ${target}, which is not a path in IPFS`)
  }
  return await openContentSource(
    kubo,
    await follow(kubo, root.name, { cid, path: path!.split('/').slice(1) }, options),
    options,
  )
}

async function openFromOwnNode(init: OpenImageInit, root: RootReference, options: AbortOptions): Promise<ImageSource> {
  // imported only here: it loads all of Helia
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

/** The CID at the end of a path that a name leads to */
async function follow(
  reader: ContentReader,
  name: string,
  { cid, path }: { cid: string; path: readonly string[] },
  options: AbortOptions,
): Promise<string> {
  const found = path.length === 0 ? { cid } : await reader.find(cid, path, options)
  if (found === undefined) {
    throw new ClientError(`${name} leads to /ipfs/${[cid, ...path].join('/')}, which does not exist`)
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
    throw new ClientError(`no appliance answers at ${init.registryHost}, to pull ${name.repository} from`, {
      hint:
        'Start one (ipdr server), or name one by --docker-registry-host. ' +
        'An image can be pulled by its CID without an appliance.',
    })
  }
}

function bareHost(host: string): string {
  return host.replace(/^https?:\/\//i, '').replace(/\/$/, '')
}
