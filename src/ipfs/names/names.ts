import { ipns, type IPNS } from '@helia/ipns'
import { decode as decodeCbor } from '@ipld/dag-cbor'
import type { Logger } from '../../log.ts'
import { DnsClient } from './dns-client.ts'
import { resolveDnsLink } from './dnslink.ts'
import { UnavailableError } from '../errors.ts'
import { IpnsPublisher, type IpnsDatastore } from './ipns-publisher.ts'
import { NameCache, type NameAnswer } from './name-cache.ts'
import { InvalidNameError } from './errors.ts'
import { parseNamePath, parseTarget } from './name-target.ts'
import type { NetworkProfile } from '../node/libp2p.ts'
import type { IpfsNode } from '../node/node.ts'

export interface NamesComponents {
  /** Has started when {@link Names.start} is called */
  node: Pick<IpfsNode, 'helia' | 'libp2p'>
  /** The node's */
  datastore: IpnsDatastore
  log: Logger
}

export interface NamesInit {
  network: NetworkProfile
  /** DNS servers for DNSLink as `<ip>` or `<ip>:<port>`; empty: the system's */
  dns: readonly string[]
  /** Time between two announcements of our own name; milliseconds */
  republish: number
  /**
   * For how long others may keep what our own name points to; milliseconds
   *
   * @default 1 minute
   */
  ttl?: number
  /**
   * The longest time that one look-up takes; milliseconds
   *
   * @default 30000
   */
  timeout?: number
}

export interface ResolvedName {
  /** CIDv1 in base32 */
  cid: string
  /** Where the content lies below the CID; often empty */
  path: string[]
  /** For how many seconds this holds */
  ttl: number
}

export interface PublishedName {
  /** `k51...` */
  name: string
  /** Goes up by one with each new value, over restarts too */
  sequence: number
}

/** Names may lead to other names, this often */
const maxDepth = 8
/** A CID never leads elsewhere; seconds */
const year = 365 * 24 * 60 * 60
const defaultTtlNs = 5n * 60n * 1_000_000_000n
/** An answer that the network did not confirm is asked for again after this many seconds */
const unconfirmedTtl = 30

/** IPNS and DNSLink: names that lead to content which their owners may change */
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

  /** After the node: only then there is a DHT for IPNS to register with */
  async start(): Promise<void> {
    // its own start() only begins its republisher, which would raise the sequence of what has not changed; ours does not
    this.#ipns ??= ipns(this.#components.node.helia)
    await this.#publisher.start()
  }

  /** Before the node */
  async stop(): Promise<void> {
    this.#cache.stop()
    await this.#publisher.stop()
  }

  /** The name that {@link publish} gives a value to, as `k51...` */
  async ownName(): Promise<string> {
    return await this.#publisher.name()
  }

  /**
   * Follows a name to content: an IPNS key (`k51...`, another CID of it, a peer id), a domain, each with or without `/ipns/` before it and a
   * path behind it. An answer is kept for its TTL. Where it can't be had anew then, the last one is given for an hour more: better an image
   * of a moment ago than none while a DNS server or the DHT is away.
   *
   * @throws InvalidNameError, NameNotFoundError where a domain points to nothing, UnavailableError
   */
  async resolve(name: string, options: { signal?: AbortSignal | undefined } = {}): Promise<ResolvedName> {
    let target = parseNamePath(name)
    let ttl = year
    for (let depth = 0; depth <= maxDepth; depth++) {
      if (target === undefined) {
        throw new InvalidNameError(`${name} is no name`)
      }
      if (target.cid !== undefined) {
        return { cid: target.cid, path: target.path, ttl }
      }
      const answer = await this.#answer(target.name, options)
      target = { ...answer.target, path: [...answer.target.path, ...target.path] }
      ttl = Math.min(ttl, answer.ttl)
    }
    throw new InvalidNameError(`${name} leads from name to name more than ${maxDepth} times`)
  }

  /**
   * Points our own name at content. That holds here at once; others learn of it in the background, as soon as there are peers to tell.
   *
   * @param path where the content lies below the CID
   */
  async publish(cid: string, path: readonly string[] = []): Promise<PublishedName> {
    return await this.#publisher.publish(['/ipfs', cid, ...path].join('/'))
  }

  /** The CID that our own name points to, by the record that is here; undefined where nothing was published */
  async published(): Promise<string | undefined> {
    const own = await this.#publisher.own(await this.#publisher.name())
    return own?.value.split('/')[2]
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
   * The newest record of a key that the network or, for as long as it is valid, our own store has
   *
   * @throws UnavailableError
   */
  async #newest(name: string, { signal }: { signal: AbortSignal }): Promise<{ value: string; ttl: number }> {
    if (this.#ipns === undefined) {
      throw new UnavailableError('The IPFS node has not started')
    }
    let confirmed = true
    const onProgress = ({ type }: { type: string }): void => {
      confirmed &&= type !== 'ipns:routing:helia:error'
    }
    const offline = this.#init.network === 'offline'
    try {
      // only the first step: it would follow names around in a circle, and fail at a domain. Its cache would hide the network from ours.
      const { value: found } = await this.#ipns
        .resolve(`/ipns/${name}`, { signal, onProgress, offline, nocache: !offline })
        .next()
      const seconds = Number(ttlOf(found!.record) / 1_000_000_000n)
      return { value: found!.value, ttl: confirmed ? seconds : Math.min(seconds, unconfirmedTtl) }
    } catch (err) {
      signal.throwIfAborted()
      throw new UnavailableError(`Nobody has a valid record of the IPNS name ${name}`, { cause: err })
    }
  }
}

function answerOf(name: string, value: string, ttl: number): NameAnswer {
  const target = parseTarget(value)
  if (target === undefined) {
    throw new InvalidNameError(`${name} points to something else than IPFS`)
  }
  return { target, ttl }
}

/** From the part of a record that is signed in every version */
function ttlOf({ data }: { data?: Uint8Array }): bigint {
  const { TTL } = decodeCbor<{ TTL?: bigint | number }>(data!)
  return TTL === undefined ? defaultTtlNs : BigInt(TTL)
}
