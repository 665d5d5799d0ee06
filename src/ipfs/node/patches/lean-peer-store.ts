import { LRUCache } from 'lru-cache'
import type { Peer, PeerId } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

const minute = 60_000
const maxRemembered = 1000

/**
 * Each stream that opens has libp2p note once more that the peer speaks the protocol: a read and a write of the datastore, several times for each
 * mebibyte of blocks. Once a minute is enough, unless something else was noted of the peer meanwhile.
 */
export function noteProtocolsRarely({ peerId: self, peerStore }: Pick<Libp2p, 'peerId' | 'peerStore'>): void {
  const noted = new LRUCache<string, Map<string, Peer>>({ max: maxRemembered, ttl: minute })

  for (const method of ['save', 'patch', 'delete'] as const) {
    const change = peerStore[method].bind(peerStore) as (peer: PeerId, ...args: unknown[]) => Promise<unknown>
    Object.assign(peerStore, {
      [method]: async (peer: PeerId, ...args: unknown[]) => {
        noted.delete(peer.toString())

        return change(peer, ...args)
      },
    })
  }

  const merge = peerStore.merge.bind(peerStore)

  peerStore.merge = async (peer, data, options) => {
    const key = peer.toString()
    const [protocol, ...others] = data.protocols ?? []

    // what this node speaks is noted at the start and the stop, and has to be right at once
    if (protocol == null || others.length > 0 || Object.keys(data).length > 1 || peer.equals(self)) {
      noted.delete(key)

      return merge(peer, data, options)
    }

    const known = noted.get(key)?.get(protocol)

    if (known != null) {
      return known
    }

    const protocols = noted.get(key) ?? new Map<string, Peer>()
    noted.set(key, protocols, { noUpdateTTL: true })
    const merged = await merge(peer, data, options)
    protocols.set(protocol, merged)

    return merged
  }
}
