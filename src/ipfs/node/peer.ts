/** A connection to a peer, as the appliance reports it to its operator */
export interface Peer {
  /** Its peer ID */
  peer: string
  /** Its multiaddr */
  address: string
  direction: 'inbound' | 'outbound'
  /** The connection goes through a relay, which limits its time and its bytes: no blocks come this way */
  limited: boolean
  /** Round-trip time in milliseconds, once it has been measured */
  latency?: number | undefined
  /** Bytes of blocks that went to the peer and came from it since the start of the node, by any connection */
  sent: number
  received: number
}

/** What is known of a connected peer beside its connections */
export interface PeerDescription {
  /** The program that it says it runs; a text of a stranger, cut */
  agent?: string | undefined
  /** Whether the configuration names it */
  isConfigured: boolean
}
