import { isPrivateIp } from '@libp2p/utils'
import type { NetworkProfile } from './libp2p.ts'
import type { Peer } from './peer.ts'

/** Whether other nodes can connect to this one, as far as its connections tell */
export interface Reachability {
  answer: 'yes' | 'no' | 'partly' | 'unknown'
  /** A sentence */
  reason: string
  /** What to do about it, where there is something to do */
  advice?: string | undefined
}

export interface ReachabilityInit {
  network: NetworkProfile
  /** Addresses that others are told to dial */
  addresses: readonly string[]
  peers: readonly Pick<Peer, 'address' | 'direction' | 'limited' | 'peer'>[]
  /** TCP port of the configuration */
  port: number
}

/** Nobody else is asked: a peer that has connected by itself is what shows that others can */
export function reachabilityOf({ addresses, network, peers, port }: ReachabilityInit): Reachability {
  if (network === 'offline') {
    return {
      answer: 'no',
      reason: 'The network profile is offline: this node opens no port and connects to nobody.',
      advice: 'Choose the network profile lan, private or public to share images with other nodes.',
    }
  }
  const inbound = peers.filter(({ direction, limited }) => direction === 'inbound' && !limited)
  const fromOutside = network === 'public' ? inbound.filter(({ address }) => !isLocal(address)) : inbound
  if (fromOutside.length > 0) {
    return { answer: 'yes', reason: `${peerCount(fromOutside)} connected to this node from ${placesOf(network)}.` }
  }
  const advice = `Let TCP port ${port} through the firewall and the router; behind NAT, set p2p.announce too.`
  if (inbound.length > 0) {
    const reason = `${peerCount(inbound)} of your own network connected to this node, and none from outside.`
    return { answer: 'partly', reason, advice }
  }
  return withoutInbound({ addresses, network, peers }, advice)
}

function withoutInbound({ addresses, network, peers }: Omit<ReachabilityInit, 'port'>, advice: string): Reachability {
  if (addresses.length === 0) {
    return { answer: 'no', reason: 'This node has no address that it could tell others.', advice }
  }
  if (peers.length === 0) {
    return {
      answer: 'unknown',
      reason: 'This node is connected to no peer, which could tell.',
      advice: 'Name a peer in p2p.peers, or connect to one by ipdr peers connect MULTIADDR.',
    }
  }
  if (network !== 'public') {
    return { answer: 'unknown', reason: 'This node has connected to others, and none of them to it by itself.' }
  }
  const isRelayed = peers.some(({ direction, limited }) => direction === 'inbound' && limited)
  return {
    answer: 'no',
    reason: isRelayed
      ? 'Others come through relays alone, which pass no blocks.'
      : 'This node has connected to others, and none of them to it.',
    advice,
  }
}

function placesOf(network: NetworkProfile): string {
  return network === 'public' ? 'outside' : network === 'private' ? 'the private swarm' : 'the local network'
}

function peerCount(peers: readonly Pick<Peer, 'peer'>[]): string {
  const { size } = new Set(peers.map(({ peer }) => peer))
  return size === 1 ? 'One peer has' : `${size} peers have`
}

/** Whether a multiaddr begins with an address of a machine or a local network */
function isLocal(address: string): boolean {
  const ip = /^\/ip[46]\/([^/]+)/.exec(address)?.[1]
  return ip !== undefined && isPrivateIp(ip) === true
}
