import { amount, key, section, sizeOrOff, wholeNumber } from './keys.ts'
import { parseDuration, parseSize } from './units.ts'

const mebibyte = 2 ** 20

/** A number of things; 0 means unlimited */
function count(initial: number, description: string) {
  return key(wholeNumber(0, 1_000_000).default(initial), 'number', `${description}; 0 means unlimited`)
}

/** A number of bytes; unlimited by default */
function bytes(description: string) {
  return key(
    amount(sizeOrOff, 0, 2 ** 53 - 1, 'size such as 100GiB, or off').default(0),
    'size',
    `${description}; off or 0 means unlimited`,
  )
}

/** Bounds for clients and peers that ask for too much, by mistake or on purpose; no real one comes near the defaults */
export const limits = section({
  manifestBytes: key(
    amount(parseSize, 1024, 64 * mebibyte, 'size such as 4MiB, from 1KiB to 64MiB').default(4 * mebibyte),
    'size',
    'Largest manifest accepted',
  ),
  descriptors: key(wholeNumber(1, 1_000_000).default(10_000), 'number', 'Maximum descriptors in a manifest'),
  jsonDepth: key(wholeNumber(8, 1000).default(64), 'number', 'Maximum levels of nesting in a manifest'),
  headerBytes: key(
    amount(parseSize, 1024, mebibyte, 'size such as 32KiB, from 1KiB to 1MiB').default(32 * 1024),
    'size',
    'Maximum bytes of the request line and headers of a request',
  ),
  headerCount: key(wholeNumber(16, 1000).default(100), 'number', 'Maximum number of headers in a request'),
  urlBytes: key(
    amount(parseSize, 512, mebibyte, 'size such as 8KiB, from 512B to 1MiB').default(8 * 1024),
    'size',
    'Maximum length of the path and query of a request',
  ),
  ranges: key(wholeNumber(1, 10_000).default(1024), 'number', 'Maximum ranges in one request'),
  bodyMemory: key(
    amount(parseSize, 0, 2 ** 40, 'size such as 8MiB').default(8 * mebibyte),
    'size',
    'Maximum memory for manifests and other request bodies; at least bodyMemoryPerClient; 0 means unlimited',
  ),
  bodyMemoryPerClient: key(
    amount(parseSize, 0, 2 ** 40, 'size such as 6MiB').default(6 * mebibyte),
    'size',
    'Maximum memory for such bodies of one client address; at least manifestBytes; 0 means unlimited',
  ),
  connections: count(10_000, 'Maximum simultaneous connections to a port of the registry'),
  connectionsPerClient: count(1000, 'Maximum simultaneous connections from one client address'),
  requestsPerUser: count(0, 'Maximum requests of one user or API key within a minute'),
  requestsPerClient: count(0, 'Maximum requests of one client address without a log-in within a minute'),
  bytesPerUser: bytes('Maximum bytes that one user or API key sends and gets within an hour'),
  bytesPerClient: bytes('Maximum bytes that one client address without a log-in sends and gets within an hour'),
  uploads: count(10_000, 'Maximum open uploads'),
  uploadsPerClient: count(1000, 'Maximum open uploads of one client address'),
  fetches: count(512, 'Maximum simultaneous requests that wait for content or names from other nodes'),
  fetchesPerClient: count(256, 'Maximum simultaneous such requests of one client address'),
  peers: key(
    wholeNumber(1, 100_000).optional(),
    'number',
    'Maximum simultaneous connections to peers; unset means 300, or 200 if network is public',
  ),
  connectionsPerPeer: key(wholeNumber(1, 1000).default(8), 'number', 'Maximum simultaneous connections of one peer'),
  streamsPerPeer: key(
    wholeNumber(1, 1000).default(64),
    'number',
    'Maximum simultaneous bitswap streams that a peer opens on one connection',
  ),
  wantsPerPeer: key(wholeNumber(1, 100_000).default(1024), 'number', 'Maximum blocks noted as wanted by one peer'),
  peerBytes: key(
    amount(parseSize, mebibyte, 2 ** 40, 'size such as 128MiB, at least 1MiB').default(128 * mebibyte),
    'size',
    'Maximum bytes of incomplete messages from all peers together',
  ),
  unaskedBytes: key(
    amount(parseSize, mebibyte, 2 ** 40, 'size such as 256MiB, at least 1MiB').default(256 * mebibyte),
    'size',
    'Maximum bytes of blocks that nobody asked for, on one connection of a peer',
  ),
  headerTimeout: key(
    amount(parseDuration, 0.1, 3600, 'duration such as 30s, from 100ms to 1h').default(30),
    'duration',
    'How long a client may take to send the headers of a request',
  ),
  bodyRate: key(
    amount(parseSize, 0, mebibyte, 'size such as 240B, at most 1MiB').default(240),
    'size',
    'Minimum bytes per second of a body, averaged over each idleTimeout; 0 means unlimited time',
  ),
  idleTimeout: key(
    amount(parseDuration, 0.1, 86_400, 'duration such as 120s, from 100ms to 1d').default(120),
    'duration',
    'How long a connection may be silent during a request',
  ),
  retrievalTimeout: key(
    amount(parseDuration, 0.1, 3600, 'duration such as 30s, from 100ms to 1h').default(30),
    'duration',
    'How long a pull of content from peers waits while nothing arrives',
  ),
  drainTimeout: key(
    amount(parseDuration, 0, 3600, 'duration such as 10s, at most 1h').default(10),
    'duration',
    'How long requests in progress may take when the server stops',
  ),
})
