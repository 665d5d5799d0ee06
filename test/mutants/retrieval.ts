import type { Mutant } from './mutant.ts'

const bitswap = 'unit/ipfs/node/patches/bounded-bitswap.test.ts'
const readAhead = 'unit/ipfs/content/read-ahead.test.ts'
const hostile = 'unit/ipfs/retrieval/hostile-peer.test.ts'
const retrievals = 'unit/ipfs/retrieval/retrieval.test.ts'

/** What comes from other nodes, and what they get */
export const retrieval: Mutant[] = [
  {
    name: 'what was fetched is not kept',
    find: 'await this.#components.blockstore.put(cid, block, { evictable: true }) return true',
    replace: 'return true',
    tests: [retrievals],
  },
  {
    name: 'what was fetched takes the room of pushes',
    find: 'await this.#components.blockstore.put(cid, block, { evictable: true })',
    replace: 'await this.#components.blockstore.put(cid, block)',
    tests: [retrievals],
  },
  {
    name: 'a block without room fails its reader',
    find: "if ((err as Error).name !== 'StorageFullError') { throw err } this.#components.log.debug('no room",
    replace: "if (true) { throw err } this.#components.log.debug('no room",
    tests: [retrievals],
  },
  {
    name: 'a collection takes what is read',
    find: 'await blockstore.read(cid, { ...options, protect: true })',
    replace: 'await blockstore.read(cid, options)',
    tests: [retrievals],
  },
  {
    name: 'what is damaged here is not fetched',
    find: 'ignoring( isMissingOrDamaged, async () => await blockstore.read(cid, { ...options,',
    replace:
      "ignoring( err => (err as Error).name === 'NotFoundError', async () => await blockstore.read(cid, { ...options,",
    tests: [retrievals],
  },
  {
    name: 'a large file has only one timeout',
    find: 'session.progressed(delivery.block.byteLength, delivery.source) return delivery',
    replace: 'return delivery',
    tests: [retrievals],
  },
  {
    name: 'peers that wait for a block do not get it when it comes',
    find: 'await node.announceBlock(cid)',
    replace: '',
    tests: [retrievals],
  },
  {
    name: 'peers are told of a block that is not kept',
    find: 'if (isKept) { await node.announceBlock(cid) }',
    replace: 'await node.announceBlock(cid)',
    tests: [retrievals],
  },
  {
    name: 'a block that is fetched for a repair stays away where there is no room beside pushes',
    find: 'if (!isKept) { await this.#components.blockstore.put(cid, block) }',
    replace: '',
    tests: [retrievals],
  },
  {
    name: 'a block is fetched once for each reader',
    find: 'this.#calls.get(key) ?? this.#begin(key, call)',
    replace: 'this.#begin(key, call)',
    tests: [retrievals],
  },
  {
    name: 'a fetch that stalls lasts for ever',
    find: 'if (left <= 0) { stalled.abort(',
    replace: 'if (false) { stalled.abort(',
    tests: [retrievals],
  },
  {
    name: 'more leaves wait for a slow client than may',
    find: 'waiting = Math.min(init.ahead, 2 * waiting)',
    replace: 'waiting = 2 * waiting',
    tests: [readAhead],
  },
  {
    name: 'the first leaf shares the line with many',
    find: 'let waiting = 1 try {',
    replace: 'let waiting = init.ahead; try {',
    tests: [readAhead],
  },
  {
    name: 'a round of blocks that a peer does not read lasts as long as the peer',
    find: 'const deadline = AbortSignal.timeout(roundTimeout)',
    replace: 'const deadline = new AbortController().signal',
    tests: [bitswap],
  },
  {
    name: 'a message may take for ever to come',
    find: 'messageReceiveTimeout: 60 * second,',
    replace: 'messageReceiveTimeout: 2 ** 30,',
    tests: [bitswap],
  },
  {
    name: 'a message may take for ever to go',
    find: 'messageSendTimeout: 60 * second,',
    replace: 'messageSendTimeout: 2 ** 30,',
    tests: [bitswap],
  },
  {
    name: 'what a peer wants that has gone is kept',
    find: 'forgetGone(ledgers, libp2p) takeFewWants',
    replace: 'takeFewWants',
    tests: [bitswap],
  },
  {
    name: 'a peer that has gone is dialled for the rest of its wants',
    find: 'if (round.length === 0 || ![...ledgers.values()].includes(ledger)) {',
    replace: 'if (round.length === 0) {',
    tests: [bitswap],
  },
  {
    name: 'a want that can not be served now is never served',
    find: "replaceStatus(round, 'sending')",
    replace: '',
    tests: [bitswap],
  },
  {
    name: 'a peer may want CIDs of any length',
    find: 'entries: list.entries.filter(({ cid }) => cid.byteLength <= maxCidBytes)',
    replace: 'entries: list.entries',
    tests: [hostile],
  },
]
