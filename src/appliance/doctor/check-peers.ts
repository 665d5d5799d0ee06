import type { Config } from '../../config/schema.ts'
import { usualPort } from '../../ipfs/node/listen.ts'
import type { Peer } from '../../ipfs/node/peer.ts'
import { type Finding, ok, warning } from './finding.ts'

const check = 'peers'

/** @param peers those that the server is connected to; undefined where no server tells */
export function checkPeers({ network, p2p }: Config, peers: readonly Peer[] | undefined): Finding {
  const profile = `network ${network}`
  if (network === 'offline') {
    return ok(check, `${profile}: the node has none`)
  }
  if (peers === undefined) {
    return ok(check, `${profile}: a running server would tell how many there are`)
  }
  const count = new Set(peers.map(({ peer }) => peer)).size
  if (count === 0) {
    return warning(
      check,
      `${profile}, but the server is connected to no peer`,
      p2p.peers.length > 0
        ? 'Look at whether the addresses in p2p.peers are right, and whether a firewall is in between.'
        : 'Name a peer in p2p.peers, or try ipdr peers connect MULTIADDR.',
    )
  }
  const found = `${profile}: ${count} connected`
  if (peers.some(({ direction, limited }) => direction === 'inbound' && !limited)) {
    return ok(check, `${found}; others reach this node`)
  }
  return network === 'public'
    ? warning(
        check,
        `${found}, but none has connected to this node: perhaps it can't be reached from outside`,
        `Let TCP port ${p2p.port ?? usualPort} through the firewall and the router, and set p2p.announce behind NAT.`,
      )
    : ok(check, `${found}; none of them connected to this node by itself`)
}
