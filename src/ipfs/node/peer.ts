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
}
