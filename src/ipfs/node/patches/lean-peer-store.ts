import { LRUCache } from 'lru-cache'
import type { Patches } from './patches.ts'
import type { Peer, PeerId } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'

/*
 * A peer store that is not written to for every stream
 *
 * libp2p 3 notes for each stream that opens that the peer speaks the stream's protocol: a read and a write of the
 * datastore, several times per mebibyte of blocks. Here it does so once a minute, or when anything else has been noted
 * about the peer since.
 */

const minute = 60_000
const maxRemembered = 1000
const methods = ['save', 'patch', 'delete', 'merge'] as const

export function noteProtocolsRarely(
  { peerId: self, peerStore }: Pick<Libp2p, 'peerId' | 'peerStore'>,
  patches: Patches,
): void {
  if (!patches.fits('@libp2p/peer-store', peerStore, Object.fromEntries(methods.map(name => [name, 'function'])))) {
    return
  }
  const noted = new LRUCache<string, Map<string, Peer>>({ max: maxRemembered, ttl: minute })
  forgetOnChange(peerStore, peer => {
    noted.delete(peer.toString())
  })
  const merge = peerStore.merge.bind(peerStore)
  peerStore.merge = async (peer, data, options) => {
    const key = peer.toString()
    const [protocol, ...others] = data.protocols ?? []
    // what this node itself speaks is noted at its start and stop, and has to be right at once
    if (protocol === undefined || others.length > 0 || Object.keys(data).length > 1 || peer.equals(self)) {
      noted.delete(key)
      return await merge(peer, data, options)
    }
    const known = noted.get(key)?.get(protocol)
    if (known !== undefined) {
      return known
    }
    const protocols = noted.get(key) ?? new Map<string, Peer>()
    noted.set(key, protocols, { noUpdateTTL: true })
    const merged = await merge(peer, data, options)
    protocols.set(protocol, merged)
    return merged
  }
}

function forgetOnChange(peerStore: Libp2p['peerStore'], forget: (peer: PeerId) => void): void {
  for (const method of methods.filter(method => method !== 'merge')) {
    const change = peerStore[method].bind(peerStore) as (peer: PeerId, ...args: unknown[]) => Promise<unknown>
    Object.assign(peerStore, {
      [method]: async (peer: PeerId, ...args: unknown[]) => {
        forget(peer)
        return await change(peer, ...args)
      },
    })
  }
}
