import { LRUCache } from 'lru-cache'
import type { Peer } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

const minute = 60_000
const maxRemembered = 1000

/**
 * Each stream that opens has libp2p note once more that the peer speaks the protocol: a read and a write of the datastore, several times for each
 * mebibyte of blocks. Once a minute is enough.
 */
export function noteProtocolsRarely ({ peerId: self, peerStore }: Pick<Libp2p, 'peerId' | 'peerStore'>): void {
  const noted = new LRUCache<string, Peer>({ max: maxRemembered, ttl: minute })
  const merge = peerStore.merge.bind(peerStore)

  peerStore.merge = async (peer, data, options) => {
    const [protocol, ...others] = data.protocols ?? []

    // what this node speaks is noted at the start and the stop, and has to be right at once
    if (protocol == null || others.length > 0 || Object.keys(data).length > 1 || peer.equals(self)) {
      return merge(peer, data, options)
    }

    const key = `${peer.toString()} ${protocol}`
    const known = noted.get(key) ?? await merge(peer, data, options)
    noted.set(key, known, { noUpdateTTL: true })

    return known
  }
}
