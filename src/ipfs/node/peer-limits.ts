import type { Libp2p } from '@libp2p/interface'
import type { BitswapLimits } from './patches/bounded-bitswap.ts'

/** Connections to peers where nothing else is set, by profile */
export const defaultMaxConnections = { lan: 300, private: 300, public: 200 }

/** What one peer, and all together, may make this node hold */
export interface PeerLimits extends BitswapLimits {
  /** Connections to all peers @default that of the network profile */
  connections?: number | undefined
  connectionsPerPeer: number
}

const mebibyte = 1024 * 1024

export const defaultPeerLimits: PeerLimits = {
  connectionsPerPeer: 8,
  streamsPerConnection: 64,
  wantsPerPeer: 1024,
  messageBytes: 128 * mebibyte,
  unaskedBytes: 256 * mebibyte,
}

/** Closes each connection of a peer beyond the limit: one peer with many would leave none for the others */
export function limitConnections(libp2p: Pick<Libp2p, 'addEventListener' | 'getConnections'>, max: number): void {
  libp2p.addEventListener('connection:open', ({ detail: connection }) => {
    if (libp2p.getConnections(connection.remotePeer).length > max) {
      connection.abort(new Error(`more than ${max} connections of one peer`))
    }
  })
}
