import { networks } from './values.ts'

/** A problem between two keys; `other` names the one that made the first a problem */
interface Contradiction {
  path: string[]
  other: string
  message: string
}

/** Contradictions between keys. Each key may be missing or wrong here, which is reported beside them. */
export function* contradictions(value: unknown): Generator<Contradiction> {
  const { network, ipfsHost, p2p, tls } = value as {
    network?: unknown
    ipfsHost?: unknown
    p2p?: { swarmKey?: unknown }
    tls?: { certPath?: unknown; keyPath?: unknown; clientCa?: unknown; hsts?: unknown }
  }
  yield* sharedPorts(value)
  yield* unknownMirror(value)
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
  if (tls?.clientCa !== undefined && cert === undefined && keyFile === undefined) {
    yield { path: ['tls', 'clientCa'], other: 'tls.certPath', message: 'needs tls.certPath: only TLS has certificates' }
  }
  if (typeof tls?.hsts === 'number' && tls.hsts > 0 && cert === undefined && keyFile === undefined) {
    yield { path: ['tls', 'hsts'], other: 'tls.certPath', message: 'needs tls.certPath: only TLS can promise TLS' }
  }
  if (networks.some(name => name === network) && network !== 'private' && p2p?.swarmKey !== undefined) {
    yield { path, other: 'network', message: `only works with network private, and network is ${network}` }
  }
}

function* unknownMirror(value: unknown): Generator<Contradiction> {
  const { registryMirror, upstreams } = value as { registryMirror?: unknown; upstreams?: unknown }
  const names = (Array.isArray(upstreams) ? upstreams : []).map((listed: { name?: unknown } | null) => listed?.name)
  if (registryMirror !== undefined && !names.includes(registryMirror)) {
    yield { path: ['registryMirror'], other: 'upstreams', message: 'must be the name of one of the upstreams' }
  }
}

/** Parts of one server that want the same port */
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
