/*
 * Bitswap that serves and receives blocks in bounded memory
 *
 * By bitswap, a peer sends us a list of the blocks that it wants, and we send it those that we have. @helia/bitswap 4
 * answers such a list with all of its blocks at once: it loads every one into memory, makes messages of them, and then
 * waits for the peer to read. Kubo's lists name up to 1024 blocks, of 1 MiB each in our files. A peer that asks and
 * does not read costs us a GiB for as long as it stays connected, without any ill will, and every further peer costs
 * the same again. The library's own remedy, a limit on the length of the list, drops the wants that exceed it without
 * telling the peer, and other Helia nodes never ask for them again.
 *
 * So we stand between the library and its state, and change six things:
 *
 * - Sending (want-rounds.ts): a peer gets its blocks in rounds of a few, each with a deadline, and only some rounds run
 *   at a time. Where there is a limit of bytes per second (upload.ts), peers take turns.
 * - Who gets blocks (guarded-blocks.ts): a peer is told that what it may not fetch is not here.
 * - Lists: a want whose CID is longer than any real one is dropped, and the list of a peer that has disconnected is
 *   forgotten at once.
 * - Receiving: a peer that keeps sending blocks that nobody asked for is disconnected before they are hashed.
 * - Messages (message-budget.ts): those that have begun to arrive take a bounded number of bytes; and a stream that
 *   ended early ends its message, instead of holding it until a timeout.
 * - Hashes: a block under an identity hash is never taken for one under another hash with the same bytes.
 *
 * Beside that, blocks are sent without a copy (block-messages.ts) and hashed on other threads (block-hashes.ts).
 * docs/decisions/001-bounded-bitswap.md has the figures.
 */
import { withBitswap } from '@helia/bitswap'
import { identity } from 'multiformats/hashes/identity'
import { Slots } from '../../../scheduling/slots.ts'
import { bitswapOf, checkedBitswap, ledgerShape } from './bitswap-parts.ts'
import { hashElsewhere, type HashBlock } from './block-hashes.ts'
import { sendBlocksUncopied } from './block-messages.ts'
import { guardBlocks } from './guarded-blocks.ts'
import { MessageBudget } from './message-budget.ts'
import { Upload } from './upload.ts'
import { serveInRounds } from './want-rounds.ts'
import type {
  BlockSession,
  BlockSessionInit,
  Ledger,
  LedgerMap,
  Network,
  ReceivedBlock,
  WantList,
} from './bitswap-parts.ts'
import type { Patches, Shape } from './patches.ts'
import type { BitswapOptions } from '@helia/bitswap'
import type { HeliaWithLibp2p } from '@helia/libp2p'
import type { Connection, ServiceMap } from '@libp2p/interface'
import type { Helia } from 'helia'
import type { CID } from 'multiformats/cid'
import type { Libp2p } from 'libp2p'

export type { BlockSession, BlockSessionInit } from './bitswap-parts.ts'

const second = 1000
const mebibyte = 1024 * 1024

/** Rounds of blocks that are sent at a time, to all peers together */
const maxRoundsAtOnce = 32
/**
 * Bytes of the longest CID that a peer may want: one by sha2-512 has 70. We keep the bytes of a want, and an identity
 * CID may have any number.
 */
const maxCidBytes = 128

const libp2pShape: Shape = { dialProtocol: 'function', getConnections: 'function', handle: 'function' }

const options: BitswapOptions = {
  // kubo refuses more than 4 MiB, and our blocks have 1 MiB
  maxOutgoingMessageSize: 4 * mebibyte,
  maxIncomingMessageSize: 4 * mebibyte,
  // for a whole message: 4 MiB in 60 s is half a megabit a second
  messageReceiveTimeout: 60 * second,
  messageSendTimeout: 60 * second,
}

/** What one peer, and all together, may make bitswap hold */
export interface BitswapLimits {
  /** Streams of one connection that bring messages at a time */
  streamsPerConnection: number
  /** Blocks that are noted as wanted by one peer */
  wantsPerPeer: number
  /** Bytes of the incomplete messages of all peers */
  messageBytes: number
  /** Whether a peer gets a block of ours; @default all get all */
  mayFetch?: ((peer: string, cid: CID) => boolean | Promise<boolean>) | undefined
  /**
   * Bytes of blocks that a connection may bring while nobody waits for any: what was asked for and cancelled may still
   * come
   */
  unaskedBytes: number
  /** Hashes what peers send; @default on the main thread */
  hashBlock?: HashBlock | undefined
  /** Bytes of blocks that are sent per second, to all peers together; @default any number */
  uploadRate?: number | undefined
  /** Is told the bytes of blocks that each peer gets and sends */
  traffic?: { sent: (peer: string, bytes: number) => void; received: (peer: string, bytes: number) => void } | undefined
}

/**
 * Adds bitswap, which asks peers for blocks and serves them ours. A start of the node fails with PackageError where it
 * can't be bounded.
 */
export function withBoundedBitswap<T extends ServiceMap>(
  helia: HeliaWithLibp2p<T>,
  patches: Patches,
  limits: BitswapLimits,
): HeliaWithLibp2p<T> {
  withBitswap(helia, { ...options, maxInboundStreams: limits.streamsPerConnection })
  helia.addMixin({
    name: 'bounded-bitswap',
    start: async () => {
      await bound(helia, helia.libp2p, patches, limits)
    },
  })
  return helia
}

/**
 * Asks without Helia's storage in between, which would hash each block a second time
 *
 * @param helia a node with bitswap, started
 */
export function createBlockSession(helia: Helia, init: BlockSessionInit): BlockSession {
  return bitswapOf(helia).createSession(init)
}

/**
 * Sends a block that is stored now to the peers that want it
 *
 * @param helia a node with bitswap, started
 */
export async function announceBlock(helia: Helia, cid: CID): Promise<void> {
  await bitswapOf(helia).announce(cid)
}

type Libp2pParts = Pick<Libp2p, 'dialProtocol' | 'getConnections' | 'handle' | 'peerId'>

async function bound(helia: Helia, libp2p: Libp2pParts, patches: Patches, limits: BitswapLimits): Promise<void> {
  patches.fits('libp2p', libp2p, libp2pShape)
  const { network, wantList, peerWantLists } = checkedBitswap(helia, patches).bitswap
  const ledgers = peerWantLists.ledgerMap
  refuseIdentityHashes(wantList)
  const { hashBlock, mayFetch, traffic, uploadRate } = limits
  if (hashBlock !== undefined) {
    hashElsewhere(wantList, hashBlock)
  }
  refuseUnasked(wantList, limits.unaskedBytes)
  if (traffic !== undefined) {
    countReceived(wantList, traffic)
  }
  const upload = uploadRate === undefined ? undefined : new Upload(uploadRate)
  sendBlocksUncopied(network, libp2p, (peer, bytes) => {
    upload?.sent(peer, bytes)
    traffic?.sent(peer, bytes)
  })
  const slots = new Slots(maxRoundsAtOnce)
  const set = ledgers.set.bind(ledgers)
  ledgers.set = (peer, ledger) => {
    patches.fits('@helia/bitswap', ledger, ledgerShape)
    forgetGone(ledgers, libp2p)
    takeFewWants(ledger, limits.wantsPerPeer)
    if (mayFetch !== undefined) {
      guardBlocks(ledger, cid => mayFetch(peer.toString(), cid))
    }
    serveInRounds(ledger, ledgers, { peer: peer.toString(), slots, upload })
    return set(peer, ledger)
  }
  // a ledger is made for the first message of a peer: an empty one of our own shows now, and not only then, whether
  // ledgers are as expected
  peerWantLists.receiveMessage(libp2p.peerId, { blocks: [] })
  ledgers.delete(libp2p.peerId)

  await endStreams(libp2p, network, new MessageBudget(limits.messageBytes))
}

/**
 * The library takes a block for the wanted one if its hash has the same bytes by any function; by identity, any bytes
 * hash to themselves
 */
function refuseIdentityHashes(wantList: WantList): void {
  const getHasher = wantList.getHasher
  wantList.getHasher = code => (code === identity.code ? undefined : getHasher(code))
}

/** A message may be processed after its peer has disconnected: what that wants would be kept for ever */
function forgetGone(ledgers: LedgerMap, libp2p: Pick<Libp2p, 'getConnections'>): void {
  for (const peer of [...ledgers.keys()].filter(peer => libp2p.getConnections(peer).length === 0)) {
    ledgers.delete(peer)
  }
}

function takeFewWants(ledger: Ledger, max: number): void {
  const add = ledger.addWants.bind(ledger)
  ledger.maxWantListSize = max
  ledger.addWants = list => {
    add(list && { ...list, entries: list.entries.filter(({ cid }) => cid.byteLength <= maxCidBytes) })
  }
}

/** The library hashes every block that comes before it looks whether anybody wants it */
function refuseUnasked(wantList: WantList, max: number): void {
  const receive = wantList.receiveMessage.bind(wantList)
  const unasked = new WeakMap<Connection, number>()
  wantList.receiveMessage = async (connection, message) => {
    if (wantList.listenerCount('block') > 0 || wantList.listenerCount('presence') > 0) {
      await receive(connection, message)
      return
    }
    const bytes = (unasked.get(connection) ?? 0) + bytesOf(message.blocks)
    unasked.set(connection, bytes)
    if (bytes > max) {
      connection.abort(new Error('a peer sends blocks that nobody asked for'))
    }
  }
}

function countReceived(wantList: WantList, traffic: NonNullable<BitswapLimits['traffic']>): void {
  const receive = wantList.receiveMessage.bind(wantList)
  wantList.receiveMessage = async (connection, message) => {
    if (message.blocks.length > 0) {
      traffic.received(connection.remotePeer.toString(), bytesOf(message.blocks))
    }
    await receive(connection, message)
  }
}

function bytesOf(blocks: readonly ReceivedBlock[]): number {
  return blocks.reduce((total, { data }) => total + (data?.byteLength ?? 0), 0)
}

/**
 * The library misses the end of a stream that ended before it began to listen, as a short message on a fast link does.
 * It then waits for more until its timeout, and holds the message's blocks in memory all that time: gigabytes at full
 * speed.
 */
async function endStreams(libp2p: Pick<Libp2p, 'handle'>, network: Network, budget: MessageBudget): Promise<void> {
  const { protocols, maxInboundStreams, maxOutboundStreams } = network
  await libp2p.handle(
    protocols,
    (stream, connection) => {
      budget.watch(stream, connection)
      // libp2p's own event for the end of a stream, which comes after the last message
      stream.addEventListener('end', () => {
        stream.dispatchEvent(new Event('remoteCloseWrite'))
      })
      network._onStream(stream, connection)
    },
    { maxInboundStreams, maxOutboundStreams, force: true },
  )
}
