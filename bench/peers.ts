import { setTimeout as sleep } from 'node:timers/promises'
import { authorization } from './authorization.ts'
import type { Server } from './server.ts'

/** A node that has peers: ours or kubo */
export type Peer = Pick<Server, 'name' | 'base' | 'dataDir' | 'makeRoom' | 'output'>

const attempts = 50
const pause = 100

/** Connects two nodes over TCP on loopback, whatever they are */
export async function connect(from: Peer, to: Peer): Promise<void> {
  const address = await addressOf(to)
  if (from.name === 'kubo') {
    await kuboCall(from, `swarm/connect?arg=${encodeURIComponent(address)}`)
    return
  }
  const response = await fetch(`${from.base}/ipdr/v1/peers`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(await authorization(from.dataDir)) },
    body: JSON.stringify({ address }),
  })
  if (!response.ok) {
    throw new Error(`${from.name} does not connect to ${address}: ${await response.text()}`)
  }
}

/** Calls kubo's RPC API; the last line of what it answers */
export async function kuboCall<T>(node: Peer, call: string): Promise<T> {
  const response = await fetch(`${node.base}/api/v0/${call}`, { method: 'POST' })
  const text = await response.text()
  if (!response.ok) {
    throw new Error(`kubo: ${call}: ${text}`)
  }
  return JSON.parse(text.trimEnd().split('\n').at(-1)!) as T
}

/** Multiaddr with the peer id */
async function addressOf(node: Peer): Promise<string> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const addresses =
      node.name === 'kubo' ? (await kuboCall<{ Addresses: string[] }>(node, 'id')).Addresses : node.output.split(/\s+/)
    const found = addresses.find(address => /^\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\/\w+$/.test(address))
    if (found !== undefined) {
      return found
    }
    await sleep(pause)
  }
  throw new Error(`${node.name} listens nowhere`)
}
