import { withBitswap } from '@helia/bitswap'
import { identity } from 'multiformats/hashes/identity'
import { sendBlocksUncopied, type MessageSender } from './block-messages.ts'
import { MessageBudget, type PeerLimits } from '../peer-limits.ts'
import type { Services } from '../libp2p.ts'
import type { BitswapOptions } from '@helia/bitswap'
import type { HeliaWithLibp2p } from '@helia/libp2p'
import type { Connection, PeerId, StreamHandler } from '@libp2p/interface'
import type { Helia } from 'helia'
import type { CID } from 'multiformats/cid'

/*
 * Bounds what bitswap holds in memory
 *
 * @helia/bitswap 4 loads every block that a peer wants before it sends the first, and waits for a peer that does not
 * read for as long as it stays connected: a peer may want 1024 blocks. Its own remedy, a shorter want list, forgets wants
 * without a word, and other Helias never repeat them. So wants are served here in rounds of a few, each with a deadline.
 */

const second = 1000
const mebibyte = 1024 * 1024

const maxWantsPerRound = 8
const maxRoundsAtOnce = 32
const roundTimeout = 60 * second
/** The longest CID that a peer may want: one by sha2-512 takes 70. The bytes of a want are kept, and an identity CID has as many as it likes. */
const maxCidBytes = 128

const options: BitswapOptions = {
  // kubo refuses more than 4 MiB, and blocks are of 1 MiB
  maxOutgoingMessageSize: 4 * mebibyte,
  maxIncomingMessageSize: 4 * mebibyte,
  // a whole message has to come within it: 4 MiB in 60 s is half a megabit a second
  messageReceiveTimeout: 60 * second,
  messageSendTimeout: 60 * second,
}

interface Want {
  status: 'want' | 'sending' | 'sent' | 'later'
  /** When the library forgets the want, in milliseconds of the epoch */
  expires?: number | undefined
}

/** What a peer wants of us, as the library keeps it */
interface Ledger {
  wants: Map<string, Want>
  maxWantListSize: number
  addWants: (list?: { entries: Array<{ cid: Uint8Array }> }) => void
  removeExpiredWants: () => void
  sendBlocksToPeer: (options?: { signal?: AbortSignal }) => Promise<void>
}

/** What the library registers with libp2p */
interface Network extends MessageSender {
  maxInboundStreams: number
  maxOutboundStreams: number
  _onStream: StreamHandler
}

/** What the library looks for in the messages of peers */
interface WantList {
  getHasher: (code: number) => unknown
  listenerCount: (type: string) => number
  receiveMessage: (connection: Connection, message: { blocks: Array<{ data?: Uint8Array }> }) => Promise<void>
}

/** The peers that have one file, asked for its blocks by bitswap */
export interface BlockSession {
  /** @returns the block, checked against its CID; it is not stored */
  retrieve: (cid: CID, options: { signal: AbortSignal }) => Promise<Uint8Array>
}

export interface BlockSessionInit {
  /** Peers to ask first */
  providers: CID[]
  /** Peers to ask at a time, at most */
  maxProviders: number
}

interface LedgerMap {
  set: (peer: PeerId, ledger: Ledger) => unknown
  delete: (peer: PeerId) => unknown
  keys: () => Iterable<PeerId>
  values: () => Iterable<Ledger>
}

/** Adds bitswap, which asks peers for blocks and serves them ours */
export function withBoundedBitswap(helia: HeliaWithLibp2p<Services>, limits: PeerLimits): HeliaWithLibp2p<Services> {
  withBitswap(helia, { ...options, maxInboundStreams: limits.streamsPerConnection })
  helia.addMixin({
    name: 'bounded-bitswap',
    start: async () => {
      await bound(helia, limits)
    },
  })

  return helia
}

/**
 * Without Helia's storage between, which would hash each block a second time
 *
 * @throws Error where the node has no bitswap
 */
export function createBlockSession(helia: Helia, init: BlockSessionInit): BlockSession {
  return partsOf(helia).broker.createSession(init)
}

/**
 * Sends a block that is stored now to the peers that want it
 *
 * @throws Error where the node has no bitswap
 */
export async function announceBlock(helia: Helia, cid: CID): Promise<void> {
  await partsOf(helia).broker.announce(cid)
}

async function bound(helia: HeliaWithLibp2p<Services>, limits: PeerLimits): Promise<void> {
  const { ledgers, network, wantList } = partsOf(helia)
  const getHasher = wantList.getHasher
  // a block is taken for the wanted one if its hash has the same bytes, whatever the function is: any bytes have themselves for an identity hash
  wantList.getHasher = code => (code === identity.code ? undefined : getHasher(code))
  refuseUnasked(wantList, limits.unaskedBytes)
  sendBlocksUncopied(network, helia.libp2p)
  const slots = new Slots(maxRoundsAtOnce)
  const set = ledgers.set.bind(ledgers)

  ledgers.set = (peer, ledger) => {
    forgetGone(ledgers, helia.libp2p)
    takeFewWants(ledger, limits.wantsPerPeer)
    serveInRounds(ledger, ledgers, slots)

    return set(peer, ledger)
  }
  await endStreams(helia.libp2p, network, new MessageBudget(limits.messageBytes))
}

/** A message may be looked at when its peer has gone already: what that wants would be kept for ever */
function forgetGone(ledgers: LedgerMap, libp2p: HeliaWithLibp2p<Services>['libp2p']): void {
  for (const peer of [...ledgers.keys()].filter(peer => libp2p.getConnections(peer).length === 0)) {
    ledgers.delete(peer)
  }
}

function takeFewWants(ledger: Ledger, max: number): void {
  const add = ledger.addWants.bind(ledger)
  ledger.maxWantListSize = max
  ledger.addWants = list => {
    add(
      list === undefined
        ? undefined
        : { ...list, entries: list.entries.filter(({ cid }) => cid.byteLength <= maxCidBytes) },
    )
  }
}

/** The library hashes every block that comes, before it knows whether anybody wants it */
function refuseUnasked(wantList: WantList, max: number): void {
  const receive = wantList.receiveMessage.bind(wantList)
  const unasked = new WeakMap<Connection, number>()
  wantList.receiveMessage = async (connection, message) => {
    if (wantList.listenerCount('block') > 0 || wantList.listenerCount('presence') > 0) {
      await receive(connection, message)
      return
    }
    const bytes = message.blocks.reduce(
      (total, { data }) => total + (data?.byteLength ?? 0),
      unasked.get(connection) ?? 0,
    )
    unasked.set(connection, bytes)
    if (bytes > max) {
      connection.abort(new Error('a peer sends blocks that nobody asked for'))
    }
  }
}

/**
 * The library misses the end of a stream that was over before it began to listen, as a short message on a fast link is. It then waits for
 * more until its timeout, and holds the message's blocks in memory for so long: at full speed, gigabytes.
 */
async function endStreams(
  libp2p: HeliaWithLibp2p<Services>['libp2p'],
  network: Network,
  budget: MessageBudget,
): Promise<void> {
  const { protocols, maxInboundStreams, maxOutboundStreams } = network
  await libp2p.handle(
    protocols,
    (stream, connection) => {
      budget.watch(stream, connection)
      // libp2p's own event for it, which comes after the last message
      stream.addEventListener('end', () => {
        stream.dispatchEvent(new Event('remoteCloseWrite'))
      })
      network._onStream(stream, connection)
    },
    { maxInboundStreams, maxOutboundStreams, force: true },
  )
}

interface Broker {
  name: string
  createSession: (init: BlockSessionInit) => BlockSession
  announce: (cid: CID) => Promise<void>
  bitswap?: { peerWantLists?: { ledgerMap?: LedgerMap }; network?: Network; wantList?: WantList }
}

function partsOf(helia: Helia): { broker: Broker; ledgers: LedgerMap; network: Network; wantList: WantList } {
  const { blockBrokers = [] } = helia as { blockBrokers?: Broker[] }
  const broker = blockBrokers.find(broker => broker.name === 'bitswap')
  const { peerWantLists, network, wantList } = broker?.bitswap ?? {}
  const ledgers = peerWantLists?.ledgerMap

  if (
    broker == null ||
    ledgers == null ||
    network?._onStream == null ||
    network.sendMessage == null ||
    wantList?.getHasher == null ||
    wantList.receiveMessage == null
  ) {
    throw new Error('This version of @helia/bitswap keeps its parts elsewhere')
  }

  return { broker, ledgers, network, wantList }
}

function serveInRounds(ledger: Ledger, ledgers: LedgerMap, slots: Slots): void {
  const send = ledger.sendBlocksToPeer.bind(ledger)
  const addWants = ledger.addWants.bind(ledger)

  // A block that was sent is not sent again to a peer for some seconds. The library looks whether these are over only when it sends something
  // else: a peer that lost the last block that it wants in a broken transfer would ask for it in vain for ever.
  ledger.addWants = wantlist => {
    ledger.removeExpiredWants()
    addWants(wantlist)
  }

  ledger.sendBlocksToPeer = async (options = {}) => {
    // a want for a block that we lack stays a want, so each is tried once a call
    const tried = new Set<Want>()

    while (await slots.run(async () => sendRound(ledger, ledgers, send, tried, options.signal))) {
      // until nothing is left
    }
  }
}

/** Tells whether there was anything to send */
async function sendRound(
  ledger: Ledger,
  ledgers: LedgerMap,
  send: Ledger['sendBlocksToPeer'],
  tried: Set<Want>,
  signal?: AbortSignal,
): Promise<boolean> {
  const wants = [...ledger.wants.values()].filter(want => want.status === 'want')
  const round = wants.filter(want => !tried.has(want)).slice(0, maxWantsPerRound)

  // a peer that has gone is not dialled again for the rest of its wants
  if (round.length === 0 || ![...ledgers.values()].includes(ledger)) {
    return false
  }

  wants.forEach(want => {
    want.status = 'later'
    // it still has the time at which an answer of "have" is forgotten, and would be forgotten with it, unserved
    want.expires = undefined
  })
  round.forEach(want => {
    want.status = 'want'
    tried.add(want)
  })

  const deadline = AbortSignal.timeout(roundTimeout)
  const sent = send({ signal: signal == null ? deadline : AbortSignal.any([signal, deadline]) })

  // the library has picked what it sends by now
  wants
    .filter(want => want.status === 'later')
    .forEach(want => {
      want.status = 'want'
    })

  try {
    await sent
  } finally {
    // it leaves them so where a block cannot be read
    round
      .filter(want => want.status === 'sending')
      .forEach(want => {
        want.status = 'want'
      })
  }

  return true
}

/** Lets only some calls run at a time, the others in turn */
class Slots {
  #free: number
  readonly #waiting: Array<() => void> = []

  constructor(count: number) {
    this.#free = count
  }

  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#free === 0) {
      await new Promise<void>(resolve => {
        this.#waiting.push(resolve)
      })
    } else {
      this.#free--
    }

    try {
      return await call()
    } finally {
      const next = this.#waiting.shift()

      if (next == null) {
        this.#free++
      } else {
        next()
      }
    }
  }
}
