import { amount, key, section, wholeNumber } from './keys.ts'
import { parseDuration, parseSize } from './units.ts'

const mebibyte = 2 ** 20

/** A number of things at a time; 0 stands for any */
function count(initial: number, description: string) {
  return key(wholeNumber(0, 1_000_000).default(initial), 'number', `${description}; 0: any`)
}

/** What is held against clients and peers that ask for too much, by mistake or on purpose: no real one comes near the defaults */
export const limits = section({
  manifestBytes: key(
    amount(parseSize, 1024, 64 * mebibyte, 'size such as 4MiB, from 1KiB to 64MiB').default(4 * mebibyte),
    'size',
    'Largest manifest accepted',
  ),
  descriptors: key(wholeNumber(1, 1_000_000).default(10_000), 'number', 'Descriptors that a manifest may have'),
  jsonDepth: key(wholeNumber(8, 1000).default(64), 'number', 'Levels of nesting that a manifest may have'),
  headerBytes: key(
    amount(parseSize, 1024, mebibyte, 'size such as 32KiB, from 1KiB to 1MiB').default(32 * 1024),
    'size',
    'Headers of a request, all together, with its first line',
  ),
  headerCount: key(wholeNumber(16, 1000).default(100), 'number', 'Headers that a request may have'),
  urlBytes: key(
    amount(parseSize, 512, mebibyte, 'size such as 8KiB, from 512B to 1MiB').default(8 * 1024),
    'size',
    'Longest path and query of a request',
  ),
  ranges: key(wholeNumber(1, 10_000).default(1024), 'number', 'Ranges that one request may ask for'),
  bodyMemory: key(
    amount(parseSize, 0, 2 ** 40, 'size such as 8MiB').default(8 * mebibyte),
    'size',
    'Manifests and other bodies in memory, while they come and are worked on; at least bodyMemoryPerClient; 0: any',
  ),
  bodyMemoryPerClient: key(
    amount(parseSize, 0, 2 ** 40, 'size such as 6MiB').default(6 * mebibyte),
    'size',
    'Such bodies of one address; at least manifestBytes; 0: any',
  ),
  connections: count(10_000, 'Connections to a port of the registry at a time'),
  connectionsPerClient: count(1000, 'Connections from one address at a time'),
  uploads: count(10_000, 'Open uploads'),
  uploadsPerClient: count(1000, 'Open uploads of one address'),
  fetches: count(512, 'Requests at a time that wait for content or names from elsewhere'),
  fetchesPerClient: count(256, 'Such requests of one address'),
  peers: key(
    wholeNumber(1, 100_000).optional(),
    'number',
    'Connections to other nodes at a time; unset: 300, or 200 where network is public',
  ),
  connectionsPerPeer: key(wholeNumber(1, 1000).default(8), 'number', 'Connections of one other node at a time'),
  streamsPerPeer: key(
    wholeNumber(1, 1000).default(64),
    'number',
    'Bitswap streams that another node opens on a connection at a time',
  ),
  wantsPerPeer: key(wholeNumber(1, 100_000).default(1024), 'number', 'Blocks that are noted as wanted by another node'),
  peerBytes: key(
    amount(parseSize, mebibyte, 2 ** 40, 'size such as 128MiB, at least 1MiB').default(128 * mebibyte),
    'size',
    'Messages of all other nodes that are not whole yet',
  ),
  unaskedBytes: key(
    amount(parseSize, mebibyte, 2 ** 40, 'size such as 256MiB, at least 1MiB').default(256 * mebibyte),
    'size',
    'Blocks from another node, on one connection, that nobody asked for',
  ),
  headerTimeout: key(
    amount(parseDuration, 0.1, 3600, 'duration such as 30s, from 100ms to 1h').default(30),
    'duration',
    'How long a client may take to send the headers of a request',
  ),
  bodyRate: key(
    amount(parseSize, 0, mebibyte, 'size such as 240B, at most 1MiB').default(240),
    'size',
    'Bytes a second that a body has to bring, over each idleTimeout; 0: any',
  ),
  idleTimeout: key(
    amount(parseDuration, 0.1, 86_400, 'duration such as 120s, from 100ms to 1d').default(120),
    'duration',
    'How long a connection may be silent in mid-request',
  ),
  retrievalTimeout: key(
    amount(parseDuration, 0.1, 3600, 'duration such as 30s, from 100ms to 1h').default(30),
    'duration',
    'How long a pull of content from peers waits while nothing comes',
  ),
  drainTimeout: key(
    amount(parseDuration, 0, 3600, 'duration such as 10s, at most 1h').default(10),
    'duration',
    'How long requests in flight may take when the server stops',
  ),
})
