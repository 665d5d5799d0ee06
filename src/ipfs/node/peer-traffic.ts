import { LRUCache } from 'lru-cache'

/** Peers that are remembered; a further one displaces the one that was silent for longest */
const maxPeers = 1000

/** Bytes of blocks */
export interface Traffic {
  sent: number
  received: number
}

/** Counts the bytes of blocks that go to each peer and come from it, since the start of the node */
export class PeerTraffic {
  readonly #peers = new LRUCache<string, Traffic>({ max: maxPeers })

  sent(peer: string, bytes: number): void {
    this.#of(peer).sent += bytes
  }

  received(peer: string, bytes: number): void {
    this.#of(peer).received += bytes
  }

  of(peer: string): Traffic {
    return this.#peers.peek(peer) ?? { sent: 0, received: 0 }
  }

  #of(peer: string): Traffic {
    const known = this.#peers.get(peer)
    if (known !== undefined) {
      return known
    }
    const traffic = { sent: 0, received: 0 }
    this.#peers.set(peer, traffic)
    return traffic
  }
}
