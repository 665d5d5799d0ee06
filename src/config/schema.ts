import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { z } from 'zod'
import {
  addresses,
  amount,
  choice,
  durationOrOff,
  key,
  notes,
  section,
  sizeOrOff,
  text,
  wholeNumber,
  type KeyNotes,
} from './keys.ts'
import { limits } from './limits.ts'
import { parseDuration, parseSize } from './units.ts'

/**
 * The one description of the configuration: keys, types, defaults, ranges and what each is for.
 * Flags, environment variables, their help texts and the checks of config/ipdr.yml are derived from it.
 */

const networks = ['offline', 'lan', 'private', 'public'] as const
const logLevels = ['error', 'warn', 'info', 'debug'] as const

/** A problem between two keys; `other` names the one that made the first a problem */
interface Contradiction {
  path: string[]
  other: string
  message: string
}

const hostText = text(/^[A-Za-z0-9._:%-]{1,255}$/, 'must be a host name or an IP address')
const ipText = z
  .string({ error: 'must be an IP address' })
  .refine(value => isIP(value) !== 0, { error: 'must be an IP address' })
// a line break: somebody gave the content of a key instead of its path
const pathText = text(/^[^\0\r\n]+$/, 'must be a path')
const port = wholeNumber(0, 65_535)
const address = z.string({ error: 'must be a multiaddr' }).refine(value => protocolsOf(value) !== undefined, {
  error: 'must be a multiaddr such as /ip4/192.0.2.1/tcp/4001',
})
const peerAddress = z.string({ error: 'must be a multiaddr' }).refine(value => protocolsOf(value)?.includes('p2p'), {
  error: "must be a multiaddr with the peer's id, such as /ip4/192.0.2.1/tcp/4001/p2p/<peer id>",
})

const resolver = text(
  /^(file:.+|\/?ip[fn]s\/.+|[^/:]+\.[^/:]+(\/.*)?)$/s,
  'must be file:<directory>, /ipfs/<cid>, /ipns/<name> or a domain',
)
const dnsServer = z
  .string({ error: 'must be an IP address' })
  .refine(value => isIP(value) !== 0 || isAddressWithPort(value), {
    error: 'must be an IP address, or one with a port such as 192.0.2.53:5353 or [2001:db8::53]:5353',
  })
const hostAddress = text(
  /^(https?:\/\/[^\s@]+|\/[^\s]+|[^\s/:@]+(:\d+)?|\[[^\s]+\](:\d+)?)$/,
  'must be host:port, an http or https URL or a multiaddr, without a password',
)
const browserHost = text(
  /^(?=.{1,255}$)(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i,
  'must be a host name such as registry.example or *.registry.example, without a scheme or a port',
)
const gatewayUrl = z.string({ error: 'must be a URL' }).refine(isPlainUrl, {
  error: 'must be an http or https URL such as https://gateway.example, without a password',
})

const objectSchema = z.strictObject({
  host: key(hostText.default('0.0.0.0'), 'text', 'Address the registry listens on'),
  port: key(port.default(5000), 'number', 'Port the registry listens on; 0 takes any free one'),
  hosts: addresses(
    browserHost,
    'Names under which browsers are answered, beside IP addresses, localhost, names without a dot and those of the certificate',
  ),
  dataDir: key(pathText.default('./data'), 'path', "Directory that holds blocks, index and the peer's identity"),
  network: choice(networks, 'public', 'Who may reach the IPFS node'),
  missingBlobs: choice(
    ['refuse', 'accept'] as const,
    'refuse',
    'What becomes of an image manifest whose blobs are missing; accept keeps it',
  ),
  ipfsHost: key(
    hostAddress.optional(),
    'text',
    'RPC API of a kubo elsewhere that pins what is pushed here as well; host:port, URL or multiaddr',
  ),
  ipfsGateways: addresses(
    gatewayUrl,
    'URLs of trustless gateways that are asked for what no peer delivers',
    'ipfs-gateway',
  ),
  cidResolvers: addresses(
    resolver,
    'Where tags that are not in this registry are looked up: file:<directory>, /ipfs/<cid>, /ipns/<name> or a domain',
    'cid-resolver',
  ),
  cidStore: key(
    pathText.optional(),
    'path',
    'Directory that holds the CID of every tag as <repository>/<tag>; unset: cids in the data directory',
  ),
  names: section({
    dns: addresses(dnsServer, 'DNS servers asked for DNSLink; none: those of the system'),
    publish: key(
      z.boolean({ error: 'must be true or false' }).default(true),
      'boolean',
      "Whether the tags are published under the registry's IPNS name, for all in its network to read",
    ),
    republish: key(
      amount(parseDuration, 60, 86_400, 'duration such as 4h, from 1m to 24h').default(4 * 3600),
      'duration',
      'Time between two announcements of that name',
    ),
  }),
  p2p: section({
    host: key(ipText.default('0.0.0.0'), 'text', 'IP address the IPFS node listens on'),
    port: key(
      port.optional(),
      'number',
      'Port the IPFS node listens on; unset: 4001, or any free one where that is taken; 0 takes any',
    ),
    peers: addresses(address, 'Multiaddrs of peers to stay connected to'),
    bootstrap: addresses(peerAddress, 'Multiaddrs of bootstrap peers, in addition to those of the network profile'),
    announce: addresses(address, 'Multiaddrs announced to other peers instead of the ones listened on'),
    swarmKey: key(
      pathText.optional(),
      'path',
      'File with the key of a private swarm; needed by network private, refused by the others',
    ),
  }),
  tls: section({
    certPath: key(
      pathText.optional(),
      'path',
      'Certificate of the registry, PEM, with those that it is signed by; unset: plain HTTP',
    ),
    keyPath: key(pathText.optional(), 'path', 'Private key of that certificate, PEM'),
  }),
  storage: section({
    fsync: key(
      z.boolean({ error: 'must be true or false' }).default(true),
      'boolean',
      'Whether a push is acknowledged only once its bytes are on disk',
    ),
    verifyInterval: key(
      amount(parseDuration, 0, 365 * 86_400, 'duration such as 1h, or 0').default(3600),
      'duration',
      'How long a block that was compared with its CID is read without doing so again; 0: never',
    ),
    maxBytes: key(
      amount(parseSize, 2 ** 20, 2 ** 53 - 1, 'size such as 500GiB, from 1MiB').optional(),
      'size',
      'Room for all blocks together; unset: as much as the file system has',
    ),
    minFree: key(
      amount(parseSize, 8 * 2 ** 20, 2 ** 53 - 1, 'size such as 1GiB, from 8MiB').optional(),
      'size',
      'Room of the file system that pushes leave free; unset: 1 % of it, from 8MiB to 1GiB',
    ),
  }),
  gc: section({
    interval: key(
      amount(durationOrOff, 0, 20 * 86_400, 'duration such as 6h, at most 20d, or off').default(6 * 3600),
      'duration',
      'Time from one garbage collection to the next; off or 0: only by ipdr gc',
    ),
    untagged: key(
      amount(parseDuration, 60, 3650 * 86_400, 'duration such as 30d, from 1m').optional(),
      'duration',
      'How long a manifest stays without a tag; unset: for ever',
    ),
    unreferenced: key(
      amount(parseDuration, 0, 3650 * 86_400, 'duration such as 24h').default(86_400),
      'duration',
      'How long a blob that a client pushed or asked for stays without a manifest',
    ),
    grace: key(
      amount(parseDuration, 1, 86_400, 'duration such as 15m, from 1s to 1d').default(15 * 60),
      'duration',
      'How long a block stays after it was written, whatever needs it',
    ),
    uploads: key(
      amount(parseDuration, 60, 3650 * 86_400, 'duration such as 7d, from 1m').default(7 * 86_400),
      'duration',
      'How long an upload that nobody writes to stays open',
    ),
  }),
  fsck: section({
    interval: key(
      amount(durationOrOff, 0, 20 * 86_400, 'duration such as 7d, at most 20d, or off').default(0),
      'duration',
      'Time from one check of all blocks and the index to the next; off or 0: only by ipdr fsck',
    ),
    rate: key(
      amount(sizeOrOff, 0, 2 ** 53 - 1, 'size such as 50MiB, or off').default(50 * 2 ** 20),
      'size',
      'Bytes a second that a check reads; off or 0: as many as there are',
    ),
  }),
  cache: section({
    maxBytes: key(
      amount(parseSize, 0, 2 ** 53 - 1, 'size such as 10GiB').default(10 * 2 ** 30),
      'size',
      'Room for what is pulled from other nodes; the image that was used least recently goes first',
    ),
  }),
  admin: section({
    host: key(hostText.default('127.0.0.1'), 'text', 'Address the admin port listens on'),
    port: key(
      port.optional(),
      'number',
      "Port for health, metrics and administration; unset: they are on the registry's port; 0 takes any free one",
    ),
    tokenFile: key(
      pathText.optional(),
      'path',
      'File with the token that administration over TCP takes; unset: admin.token in the data directory, made on the first start',
    ),
    metrics: choice(
      ['token', 'open'] as const,
      'token',
      'Whether metrics need that token over TCP, or are open to whoever asks',
    ),
  }),
  log: section({
    level: choice(logLevels, 'info', 'Least important log level that is written'),
    format: choice(['human', 'json'] as const, 'human', 'How log lines look'),
  }),
  limits,
})

export const configSchema = objectSchema.superRefine(
  (value, context) => {
    for (const { message, path, other } of contradictions(value)) {
      context.addIssue({ code: 'custom', message, path, params: { other } })
    }
  },
  { when: () => true },
)

type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** Complete and checked; durations are seconds, sizes bytes */
export type Config = DeepReadonly<z.output<typeof configSchema>>

export const defaultConfig: Config = deepFreeze(configSchema.parse({}))

/** A key that holds a value, as opposed to a section */
export interface ConfigKey extends Omit<KeyNotes, 'flag'> {
  /** e.g. `p2p.swarmKey` */
  path: string
  /** e.g. `--p2p-swarm-key` */
  flag: string
  /** e.g. `IPDR_P2P_SWARM_KEY` */
  variable: string
  schema: z.ZodType
  /** Undefined where the key is unset by default */
  default: unknown
}

/** What a section holds: keys and further sections, in the order of the schema */
export type KeyTree = ReadonlyMap<string, ConfigKey | KeyTree>

export const keyTree: KeyTree = treeOf(objectSchema.shape, defaultConfig, [])
export const configKeys: readonly ConfigKey[] = [...keysOf(keyTree)]

export function isConfigKey(node: ConfigKey | KeyTree): node is ConfigKey {
  return !(node instanceof Map)
}

export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze)
    Object.freeze(value)
  }
  return value
}

// every key may be missing or wrong here: these rules report beside the others
function* contradictions(value: unknown): Generator<Contradiction> {
  const { network, ipfsHost, p2p, tls } = value as {
    network?: unknown
    ipfsHost?: unknown
    p2p?: { swarmKey?: unknown }
    tls?: { certPath?: unknown; keyPath?: unknown }
  }
  yield* sharedPorts(value)
  const path = ['p2p', 'swarmKey']
  if (network === 'private' && p2p?.swarmKey === undefined) {
    yield { path, other: 'network', message: 'must be set when network is private' }
  }
  if (network === 'offline' && ipfsHost !== undefined) {
    yield {
      path: ['ipfsHost'],
      other: 'network',
      message: 'needs a network: the kubo fetches what it pins from this node',
    }
  }
  const [cert, keyFile] = [tls?.certPath, tls?.keyPath]
  if ((cert === undefined) !== (keyFile === undefined)) {
    yield {
      path: ['tls', cert === undefined ? 'certPath' : 'keyPath'],
      other: `tls.${cert === undefined ? 'keyPath' : 'certPath'}`,
      message: 'must be set, too',
    }
  }
  if (networks.some(name => name === network) && network !== 'private' && p2p?.swarmKey !== undefined) {
    yield { path, other: 'network', message: `only works with network private, and network is ${network}` }
  }
}

/** Two parts of one server want the same port */
function* sharedPorts(value: unknown): Generator<Contradiction> {
  const { host, port, network, p2p, admin } = value as {
    host?: unknown
    port?: unknown
    network?: unknown
    p2p?: { host?: unknown; port?: unknown }
    admin?: { host?: unknown; port?: unknown }
  }
  const wildcards: unknown[] = ['0.0.0.0', '::']
  const listeners = [
    { name: 'port', host, port },
    { name: 'admin.port', ...admin },
    ...(network === 'offline' ? [] : [{ name: 'p2p.port', ...p2p }]),
  ]
  for (const [index, one] of listeners.entries()) {
    for (const other of listeners.slice(0, index)) {
      const meet = one.host === other.host || wildcards.includes(one.host) || wildcards.includes(other.host)
      if (meet && one.port !== undefined && one.port !== 0 && one.port === other.port) {
        yield {
          path: one.name.split('.'),
          other: other.name,
          message: `must differ from ${other.name}, which is ${String(other.port)}, too`,
        }
      }
    }
  }
}

function isPlainUrl(value: string): boolean {
  const { protocol = '', username, password } = URL.parse(value) ?? {}
  return /^https?:$/.test(protocol) && username === '' && password === ''
}

function isAddressWithPort(value: string): boolean {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? []
  return isIP(six ?? four ?? '') === (six === undefined ? 4 : 6) && Number(port) > 0 && Number(port) < 65_536
}

function protocolsOf(value: string): string[] | undefined {
  try {
    const components = multiaddr(value).getComponents()
    return components.length === 0 ? undefined : components.map(({ name }) => name)
  } catch {
    return undefined
  }
}

function treeOf(shape: z.ZodRawShape, defaults: object, parents: string[]): KeyTree {
  return new Map(
    Object.entries(shape).map(([name, schema]): [string, ConfigKey | KeyTree] => {
      const path = [...parents, name]
      const initial: unknown = (defaults as Record<string, unknown>)[name]
      if (schema instanceof z.ZodPrefault) {
        return [name, treeOf((schema.unwrap() as z.ZodObject).shape, initial as object, path)]
      }
      const kebab = path.join('-').replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
      const { flag = kebab, ...noted } = notes.get(schema as z.ZodType)!
      return [
        name,
        {
          ...noted,
          path: path.join('.'),
          flag: `--${flag}`,
          variable: `IPDR_${kebab.replaceAll('-', '_').toUpperCase()}`,
          schema: schema as z.ZodType,
          default: initial,
        },
      ]
    }),
  )
}

function* keysOf(tree: KeyTree): Generator<ConfigKey> {
  for (const node of tree.values()) {
    if (isConfigKey(node)) {
      yield node
    } else {
      yield* keysOf(node)
    }
  }
}
