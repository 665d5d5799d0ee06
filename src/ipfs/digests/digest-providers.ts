import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerId } from '@libp2p/interface'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { Slots } from '../../scheduling/slots.ts'
import type { IpfsNode } from '../node/node.ts'
import { digestCid } from './digest-cid.ts'

/** For one blob */
const maxProviders = 8
/** For the look-up of one blob, its turn and the connections included; milliseconds */
const timeout = 5000
/** After a connection, until it is known what the peer speaks; milliseconds */
const introduction = 1000
/** Look-ups at a time, each of which asks many nodes */
const lookUps = 4

export interface DigestProvidersComponents {
  node: Pick<IpfsNode, 'libp2p'>
  log: Logger
}

/** Finds appliances that tell the DHT that they have a blob, and connects to them */
export class DigestProviders {
  readonly #components: DigestProvidersComponents
  readonly #slots = new Slots(lookUps)

  constructor(components: DigestProvidersComponents) {
    this.#components = components
  }

  /**
   * Yields the ids of at most eight peers, before it connects to them. Ends within five seconds, once they had the time
   * to say what they speak; never throws.
   */
  async *find(digest: Digest, { signal }: { signal: AbortSignal }): AsyncGenerator<string> {
    const both = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
    const dials: Promise<void>[] = []
    try {
      using _slot = await this.#slots.take({ signal: both })
      for await (const peer of this.#lookUp(digest, both)) {
        yield peer.toString()
        dials.push(this.#connect(peer, both))
        if (dials.length === maxProviders) {
          break
        }
      }
    } catch (err) {
      this.#components.log.debug('looking for providers of a blob ended', { digest, reason: String(err) })
    }
    await Promise.all(dials)
  }

  async *#lookUp(digest: Digest, signal: AbortSignal): AsyncGenerator<PeerId> {
    const [{ libp2p }, cid] = [this.#components.node, digestCid(digest)]
    if (libp2p !== undefined && cid !== undefined) {
      for await (const { id } of libp2p.contentRouting.findProviders(cid, { signal })) {
        if (!id.equals(libp2p.peerId)) {
          yield id
        }
      }
    }
  }

  /** Never rejects */
  async #connect(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { libp2p } = this.#components.node
    if (libp2p === undefined || libp2p.getConnections(peer).length > 0) {
      return
    }
    try {
      await libp2p.dial(peer, { signal })
      await sleep(introduction, undefined, { signal, ref: false })
    } catch (err) {
      this.#components.log.debug('no connection to a provider of a blob', {
        peer: peer.toString(),
        reason: String(err),
      })
    }
  }
}
