import { addresses, amount, choice, durationOrOff, key, section, sizeOrOff, wholeNumber } from './keys.ts'
import { parseDuration, parseSize } from './units.ts'
import {
  address,
  dnsServer,
  gatewayUrl,
  hostText,
  ipText,
  logLevels,
  pathText,
  peerAddress,
  port,
  yesOrNo,
} from './values.ts'

/* The sections of the configuration but `limits`, see limits.ts */

const day = 86_400

export const names = section({
  dns: addresses(dnsServer, 'DNS servers to ask for DNSLink; an empty list means those of the system'),
  publish: key(
    yesOrNo.default(true),
    'boolean',
    "Whether to publish the tags under the registry's IPNS name, which everybody in its network can read",
  ),
  republish: key(
    amount(parseDuration, 60, day, 'duration such as 4h, from 1m to 24h').default(4 * 3600),
    'duration',
    'Time between two publications of that name',
  ),
})

export const p2p = section({
  host: key(ipText.default('0.0.0.0'), 'text', 'IP address the IPFS node listens on'),
  port: key(
    port.optional(),
    'number',
    'Port the IPFS node listens on; unset means 4001, or any free one if that is taken; 0 takes any free one',
  ),
  peers: addresses(
    address,
    'Multiaddrs of peers to stay connected to; a name without a peer id means all nodes that it leads to',
  ),
  bootstrap: addresses(peerAddress, 'Multiaddrs of bootstrap peers, in addition to those of the network profile'),
  announce: addresses(address, 'Multiaddrs announced to peers instead of those listened on'),
  swarmKey: key(
    pathText.optional(),
    'path',
    'File with the key of a private swarm; required by network private, refused by the others',
  ),
  maxUpload: key(
    amount(sizeOrOff, 0, 2 ** 53 - 1, 'size such as 50MiB, or off').default(0),
    'size',
    'Bytes of blocks per second that this node sends to peers, shared fairly among them; off or 0 means unlimited',
  ),
})

export const tls = section({
  certPath: key(pathText.optional(), 'path', 'Certificate chain of the registry, PEM; unset means plain HTTP'),
  keyPath: key(pathText.optional(), 'path', 'Private key of that certificate, PEM'),
  clientCa: key(
    pathText.optional(),
    'path',
    'Certificates of authorities, PEM, whose clients can log in by certificate; unset means no client can',
  ),
  hsts: key(
    amount(durationOrOff, 0, 3650 * day, 'duration such as 365d, or off').default(0),
    'duration',
    'How long a browser that was here uses nothing but TLS for this host (HSTS); off or 0 means it is not told to',
  ),
})

export const storage = section({
  fsync: key(yesOrNo.default(true), 'boolean', 'Whether to acknowledge a push only once its bytes are on disk'),
  verifyInterval: key(
    amount(parseDuration, 0, 365 * day, 'duration such as 1h, or 0').default(3600),
    'duration',
    'How long a block that was compared with its CID is read without comparing it again; 0 compares at every read',
  ),
  maxBytes: key(
    amount(parseSize, 2 ** 20, 2 ** 53 - 1, 'size such as 500GiB, from 1MiB').optional(),
    'size',
    'Maximum bytes of all blocks together; unset means as much as the file system has',
  ),
  minFree: key(
    amount(parseSize, 8 * 2 ** 20, 2 ** 53 - 1, 'size such as 1GiB, from 8MiB').optional(),
    'size',
    'Bytes of the file system that pushes leave free; unset means 1 % of it, from 8MiB to 1GiB',
  ),
})

export const gc = section({
  interval: key(
    amount(durationOrOff, 0, 20 * day, 'duration such as 6h, at most 20d, or off').default(6 * 3600),
    'duration',
    'Time between garbage collections; off or 0 means only by ipdr gc',
  ),
  untagged: key(
    amount(parseDuration, 60, 3650 * day, 'duration such as 30d, from 1m').optional(),
    'duration',
    'How long a manifest without a tag is kept; unset means for ever',
  ),
  unreferenced: key(
    amount(parseDuration, 0, 3650 * day, 'duration such as 24h').default(day),
    'duration',
    'How long a blob that a client pushed or asked for is kept without a manifest',
  ),
  grace: key(
    amount(parseDuration, 1, day, 'duration such as 15m, from 1s to 1d').default(15 * 60),
    'duration',
    'How long a block is kept after it was written, whether anything needs it or not',
  ),
  uploads: key(
    amount(parseDuration, 60, 3650 * day, 'duration such as 7d, from 1m').default(7 * day),
    'duration',
    'How long an upload stays open after the last write to it',
  ),
})

export const history = section({
  keep: key(
    amount(durationOrOff, 0, 3650 * day, 'duration such as 7d, or off').default(7 * day),
    'duration',
    'How long a change can be undone and what it deleted is kept, hidden; off or 0 means no change can be undone',
  ),
})

export const fsck = section({
  interval: key(
    amount(durationOrOff, 0, 20 * day, 'duration such as 7d, at most 20d, or off').default(0),
    'duration',
    'Time between checks of all blocks and the index; off or 0 means only by ipdr fsck',
  ),
  rate: key(
    amount(sizeOrOff, 0, 2 ** 53 - 1, 'size such as 50MiB, or off').default(50 * 2 ** 20),
    'size',
    'Bytes per second that such a check reads; off or 0 means unlimited',
  ),
})

export const cache = section({
  maxBytes: key(
    amount(parseSize, 0, 2 ** 53 - 1, 'size such as 10GiB').default(10 * 2 ** 30),
    'size',
    'Maximum bytes kept of images from upstreams and other nodes; the least recently used image is deleted first',
  ),
})

export const access = section({
  file: key(
    pathText.optional(),
    'path',
    'File with the rules of who may do what; unset means access.yml in the data directory, if it is there',
  ),
  htpasswd: key(
    pathText.optional(),
    'path',
    'File with users and passwords, as htpasswd -B writes it; unset means htpasswd in the data directory',
    { flag: 'htpasswd' },
  ),
  auditLog: key(
    pathText.optional(),
    'path',
    'File that records who did what, one JSON object a line; unset means none',
  ),
  auditLogBytes: key(
    amount(parseSize, 2 ** 20, 2 ** 40, 'size such as 64MiB, from 1MiB').default(64 * 2 ** 20),
    'size',
    'Size at which the audit log is put aside and a new one begins',
  ),
  auditLogFiles: key(wholeNumber(0, 1000).default(5), 'number', 'How many old audit logs are kept'),
  tokenUrl: key(
    gatewayUrl.optional(),
    'text',
    'URL where clients get tokens, if a proxy changes it; unset means /auth/token of the host that they ask',
  ),
})

export const admin = section({
  host: key(hostText.default('127.0.0.1'), 'text', 'Address the admin port listens on'),
  port: key(
    port.optional(),
    'number',
    "Port for health, metrics and administration; unset means the registry's port; 0 takes any free one",
  ),
  tokenFile: key(
    pathText.optional(),
    'path',
    'File with the token for administration over TCP; unset means admin.token in the data directory',
  ),
  metrics: choice(
    ['token', 'open'] as const,
    'token',
    'Whether metrics over TCP require that token or are open to everybody',
  ),
})

export const log = section({
  level: choice(logLevels, 'info', 'Least severe log level that is written'),
  format: choice(['human', 'json'] as const, 'human', 'Format of log lines'),
})
