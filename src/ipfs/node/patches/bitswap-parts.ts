import type { Helia } from 'helia'
import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import type { Connection, PeerId, StreamHandler } from '@libp2p/interface'
import type { MessageSender } from './block-messages.ts'
import type { Patches, Shape } from './patches.ts'

/* The parts of @helia/bitswap 4 that we change or use past its interface, under the names that they have there */

/** A block that a peer wants */
export interface Want {
  /** `later` is ours: not in the round that is being sent */
  status: 'want' | 'sending' | 'sent' | 'later'
  /** When the library forgets the want; milliseconds since the epoch */
  expires?: number | undefined
}

/** What one peer wants of us */
export interface Ledger {
  /** Where it looks for what the peer wants */
  blockstore: Pick<Blockstore, 'has' | 'get'>
  wants: Map<string, Want>
  maxWantListSize: number
  addWants: (list?: { entries: Array<{ cid: Uint8Array }> }) => void
  removeExpiredWants: () => void
  sendBlocksToPeer: (options?: { signal?: AbortSignal }) => Promise<void>
}

export interface LedgerMap {
  set: (peer: PeerId, ledger: Ledger) => unknown
  delete: (peer: PeerId) => unknown
  keys: () => Iterable<PeerId>
  values: () => Iterable<Ledger>
}

/** What sends messages, and is registered with libp2p to receive them */
export interface Network extends MessageSender {
  maxInboundStreams: number
  maxOutboundStreams: number
  _onStream: StreamHandler
}

/** A block as it came in a message */
export interface ReceivedBlock {
  /** The numbers of its CID before the digest */
  prefix?: Uint8Array | undefined
  data?: Uint8Array | undefined
}

/** What we want of peers; it looks for that in their messages */
export interface WantList {
  getHasher: (code: number) => unknown
  listenerCount: (type: string) => number
  receiveMessage: (connection: Connection, message: { blocks: ReceivedBlock[] }) => Promise<void>
}

/** The peers that have one file, asked for its blocks by bitswap */
export interface BlockSession {
  /** @returns the block, checked against its CID; it is not stored */
  retrieve: (cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array>
}

export interface BlockSessionInit {
  /** Peers to ask first */
  providers: CID[]
  /** The most peers to ask at a time */
  maxProviders: number
}

export interface Bitswap {
  createSession: (init: BlockSessionInit) => BlockSession
  announce: (cid: CID) => Promise<void>
  bitswap: {
    network: Network
    wantList: WantList
    peerWantLists: {
      ledgerMap: LedgerMap
      receiveMessage: (peer: PeerId, message: { blocks: never[] }) => void
    }
  }
}

const brokerShape: Shape = {
  createSession: 'function',
  announce: 'function',
  'bitswap.network._onStream': 'function',
  'bitswap.network.sendMessage': 'function',
  'bitswap.network.protocols': 'object',
  'bitswap.network.maxInboundStreams': 'number',
  'bitswap.network.maxOutboundStreams': 'number',
  'bitswap.wantList.getHasher': 'function',
  'bitswap.wantList.listenerCount': 'function',
  'bitswap.wantList.receiveMessage': 'function',
  'bitswap.peerWantLists.receiveMessage': 'function',
  'bitswap.peerWantLists.ledgerMap.set': 'function',
  'bitswap.peerWantLists.ledgerMap.delete': 'function',
  'bitswap.peerWantLists.ledgerMap.keys': 'function',
  'bitswap.peerWantLists.ledgerMap.values': 'function',
}

export const ledgerShape: Shape = {
  'blockstore.has': 'function',
  'blockstore.get': 'function',
  'wants.values': 'function',
  maxWantListSize: 'number',
  addWants: 'function',
  removeExpiredWants: 'function',
  sendBlocksToPeer: 'function',
}

/**
 * Finds bitswap in a node that was started with it
 *
 * @throws PackageError where it is not as we expect; the caller relies on it
 */
export function checkedBitswap(helia: Helia, patches: Patches): Bitswap {
  patches.fits('helia', helia, { 'blockBrokers.find': 'function' })
  patches.fits('@helia/bitswap', bitswapOf(helia), brokerShape)
  return bitswapOf(helia)
}

export function bitswapOf(helia: Helia): Bitswap {
  return (helia as unknown as { blockBrokers: Array<{ name: string }> }).blockBrokers.find(
    ({ name }) => name === 'bitswap',
  ) as unknown as Bitswap
}
