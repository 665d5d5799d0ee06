/**
 * Names that lead to content and that their owners can change: IPNS keys, and domains with a DNSLink.
 *
 * - `names.ts` (here): resolves any name, and publishes our own
 * - `name-target.ts`: what a name may point to; `name-cache.ts`: keeps answers for their TTL
 * - `dnslink.ts` and `dns-client.ts`: domains; `own-ipns-record.ts` and `ipns-publisher.ts`: our own IPNS name
 *
 * Imports `src/ipfs/node`, the errors of `src/ipfs` and the CIDs of `src/oci`. Begin with {@link Names.resolve}.
 */
import { ipns, type IPNS } from '@helia/ipns'
import { decode as decodeCbor } from '@ipld/dag-cbor'
import type { Logger } from '../../log.ts'
import { DnsClient } from './dns-client.ts'
import { resolveDnsLink } from './dnslink.ts'
import { UnavailableError } from '../errors.ts'
import { IpnsPublisher, type OwnName } from './ipns-publisher.ts'
import type { IpnsDatastore } from './own-ipns-record.ts'
import { NameCache, type NameAnswer } from './name-cache.ts'
import { InvalidNameError } from './errors.ts'
import { parseNamePath, parseTarget } from './name-target.ts'
import type { NetworkProfile } from '../node/libp2p.ts'
import type { IpfsNode } from '../node/node.ts'

export interface NamesComponents {
  /** Must be started before {@link Names.start} is called */
  node: Pick<IpfsNode, 'helia' | 'libp2p'>
  /** That of the node */
  datastore: IpnsDatastore
  /** Whether peers may be told to what our name points; @default they may */
  isPublic?: (() => boolean) | undefined
  log: Logger
}

export interface NamesInit {
  network: NetworkProfile
  /** DNS servers for DNSLink as `<ip>` or `<ip>:<port>`; without any, those of the system */
  dns: readonly string[]
  /** Time between two times that our own IPNS record is sent to the DHT; milliseconds */
  republish: number
  /**
   * How long others may keep what our own name points to; milliseconds
   *
   * @default 1 minute
   */
  ttl?: number
  /**
   * A look-up fails after this; milliseconds
   *
   * @default 30000
   */
  timeout?: number
}

export interface ResolvedName {
  /** CIDv1 in base32 */
  cid: string
  /** Path of the content below the CID; often empty */
  path: string[]
  /** For how many seconds the answer holds */
  ttl: number
}

export interface PublishedName {
  /** As `k51...` */
  name: string
  /** Rises by one with each new value, across restarts as well */
  sequence: number
}

/** How many times a name may lead to another name */
const maxDepth = 8
/** The TTL of a CID, which never leads elsewhere; seconds */
const year = 365 * 24 * 60 * 60
/** The TTL of an IPNS record that has none */
const defaultTtlNs = 5n * 60n * 1_000_000_000n
/** The longest TTL of an IPNS answer where a part of the network could not be asked; seconds */
const unconfirmedTtl = 30

export class Names {
  readonly #components: NamesComponents
  readonly #init: NamesInit
  readonly #dns: DnsClient
  readonly #cache: NameCache
  readonly #publisher: IpnsPublisher
  #ipns: IPNS | undefined

  constructor(components: NamesComponents, init: NamesInit) {
    const { log } = components
    this.#components = components
    this.#init = init
    this.#dns = new DnsClient({ servers: init.dns })
    this.#cache = new NameCache(
      { lookUp: async (name, options) => await this.#lookUp(name, options), log },
      init.timeout === undefined ? {} : { timeout: init.timeout },
    )
    this.#publisher = new IpnsPublisher(components, init)
  }

  /** To be called after the node has started, as there is no DHT before */
  async start(): Promise<void> {
    // not started: that would begin its republisher, which raises the sequence number of unchanged values; ours does
    // not
    this.#ipns ??= ipns(this.#components.node.helia)
    await this.#publisher.start()
  }

  /** To be called before the node is stopped */
  async stop(): Promise<void> {
    this.#cache.stop()
    await this.#publisher.stop()
  }

  /** Our own name, which {@link publish} points at content, as `k51...` */
  async ownName(): Promise<string> {
    return await this.#publisher.name()
  }

  /**
   * Follows a name to content. A name is an IPNS key (`k51...`, another CID of the key, or a peer ID) or a domain, with
   * or without `/ipns/` before it and a path after it.
   *
   * An answer is kept for its TTL. If no new one can be had then, the last one is used for another hour: a slightly old
   * image is better than none while a DNS server or the DHT can't be reached.
   *
   * @throws InvalidNameError, NameNotFoundError where a domain has no DNSLink, UnavailableError
   */
  async resolve(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<ResolvedName> {
    let target = parseNamePath(name)
    let ttl = year
    for (let depth = 0; depth <= maxDepth; depth++) {
      if (target === undefined) {
        throw new InvalidNameError(`${name} is not an IPNS name or domain`)
      }
      if (target.cid !== undefined) {
        return { cid: target.cid, path: target.path, ttl }
      }
      const answer = await this.#answer(target.name, options)
      target = { ...answer.target, path: [...answer.target.path, ...target.path] }
      ttl = Math.min(ttl, answer.ttl)
    }
    throw new InvalidNameError(`${name} leads to another name more than ${maxDepth} times`)
  }

  /**
   * Points our own name at content. This node knows it at once; peers get the record in the background, as soon as
   * there are any.
   *
   * @param path of the content below the CID
   */
  async publish(cid: string, path: readonly string[] = []): Promise<PublishedName> {
    return await this.#publisher.publish(['/ipfs', cid, ...path].join('/'))
  }

  /** The CID that our own name points to; undefined before the first {@link publish} */
  async published(): Promise<string | undefined> {
    const own = await this.#publisher.own(await this.#publisher.name())
    return own?.value.split('/')[2]
  }

  /** How our own name is; undefined before the first {@link publish} */
  async status(): Promise<OwnName | undefined> {
    return await this.#publisher.status()
  }

  async #answer(name: string, options: { signal?: AbortSignal | undefined }): Promise<NameAnswer> {
    const own = await this.#publisher.own(name)
    return own === undefined ? await this.#cache.get(name, options) : answerOf(name, own.value, own.ttl)
  }

  async #lookUp(name: string, options: { signal: AbortSignal }): Promise<NameAnswer> {
    if (name.includes('.')) {
      return await resolveDnsLink(this.#dns, name, options)
    }
    const { value, ttl } = await this.#newest(name, options)
    return answerOf(name, value, ttl)
  }

  /**
   * The newest valid record of a key, from the network or our own datastore
   *
   * @throws UnavailableError
   */
  async #newest(name: string, { signal }: { signal: AbortSignal }): Promise<{ value: string; ttl: number }> {
    if (this.#ipns === undefined) {
      throw new UnavailableError('The IPFS node has not started yet')
    }
    let confirmed = true
    const onProgress = ({ type }: { type: string }): void => {
      confirmed &&= type !== 'ipns:routing:helia:error'
    }
    const offline = this.#init.network === 'offline'
    try {
      // only its first step: by itself it follows names in a circle for ever, and fails at a domain. Without its cache,
      // because we have one.
      const { value: found } = await this.#ipns
        .resolve(`/ipns/${name}`, { signal, onProgress, offline, nocache: !offline })
        .next()
      const seconds = Number(ttlOf(found!.record) / 1_000_000_000n)
      return { value: found!.value, ttl: confirmed ? seconds : Math.min(seconds, unconfirmedTtl) }
    } catch (err) {
      signal.throwIfAborted()
      throw new UnavailableError(`No peer has a valid record of the IPNS name ${name}`, { cause: err })
    }
  }
}

function answerOf(name: string, value: string, ttl: number): NameAnswer {
  const target = parseTarget(value)
  if (target === undefined) {
    throw new InvalidNameError(`${name} points to something that is not in IPFS`)
  }
  return { target, ttl }
}

/** From the part of a record that its signature covers in every version */
function ttlOf({ data }: { data?: Uint8Array }): bigint {
  const { TTL } = decodeCbor<{ TTL?: bigint | number }>(data!)
  return TTL === undefined ? defaultTtlNs : BigInt(TTL)
}
