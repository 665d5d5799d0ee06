import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import type { Config } from '../../config/schema.ts'
import { bounded } from './bounded.ts'
import { type Finding, ok, warning, wrong } from './finding.ts'

/** A name that the server asks DNS for */
export interface WantedName {
  /** The key of the configuration that it is in */
  key: string
  /** In DNS, such as `_dnslink.example.org` for a text */
  name: string
  record: 'address' | 'text'
}

/** How names are looked up; rejects where there is no such record */
export interface NameLookup {
  addresses: (name: string) => Promise<unknown>
  texts: (name: string) => Promise<unknown>
}

const check = 'DNS'
const second = 1000
const limit = 5 * second

/** DNS as the system is configured, and for texts as `names.dns` says */
export function systemNames({ names: { dns } }: Config): NameLookup {
  const resolver = new Resolver({ timeout: 2 * second, tries: 2 })
  if (dns.length > 0) {
    resolver.setServers(dns)
  }
  return {
    addresses: async name => await lookup(name),
    texts: async name => await resolver.resolveTxt(name),
  }
}

/** The names in a configuration, each once for each key */
export function namesIn(config: Config): WantedName[] {
  const { cidResolvers, ipfsGateways, ipfsHost, network, p2p, upstreams } = config
  const urls = [
    ...upstreams.map(({ name, url }) => ({ key: `upstreams ${name}`, url })),
    ...ipfsGateways.map(url => ({ key: 'ipfsGateways', url })),
    ...(ipfsHost !== undefined && URL.canParse(ipfsHost) ? [{ key: 'ipfsHost', url: ipfsHost }] : []),
  ]
  const peers =
    network === 'offline'
      ? []
      : [
          ...p2p.peers.map(address => ({ key: 'p2p.peers', address })),
          ...p2p.bootstrap.map(address => ({ key: 'p2p.bootstrap', address })),
        ]
  const wanted = [
    ...urls.map(({ key, url }): WantedName => ({ key, name: hostOf(url), record: 'address' })),
    ...peers.flatMap(({ key, address }) => ofMultiaddr(key, address)),
    ...cidResolvers.flatMap(ofResolver),
  ]
  const named = wanted.filter(({ name }) => name !== '' && isIP(name) === 0)
  return [...new Map(named.map(one => [`${one.key} ${one.name}`, one])).values()]
}

/** Asks for all of them at the same time */
export async function checkNames(
  names: readonly WantedName[],
  { addresses, texts }: NameLookup,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (names.length === 0) {
    return [ok(check, 'the configuration has no names to look up')]
  }
  const problems = await Promise.all(
    names.map(async ({ key, name, record }): Promise<Finding | undefined> => {
      try {
        await bounded(async () => await (record === 'text' ? texts(name) : addresses(name)), { limit, signal })
        return undefined
      } catch (err) {
        signal.throwIfAborted()
        return unknown(key, name, record, reasonOf(err))
      }
    }),
  )
  const found = problems.filter(problem => problem !== undefined)
  const known = names.filter((_, i) => problems[i] === undefined).map(({ name }) => name)
  return known.length === 0 ? found : [ok(check, `knows ${known.join(', ')}`), ...found]
}

function unknown(key: string, name: string, record: WantedName['record'], reason: string): Finding {
  const [lacks, server, type] =
    record === 'text'
      ? (['has no text that can be read', ', or names.dns', 'TXT '] as const)
      : (['has no address', '', ''] as const)
  const found = `${name}, of ${key}, ${lacks}: ${reason}`
  const advice = `Correct the name or its entry in DNS${server}; dig ${type}${name} shows what DNS says.`
  // the node goes on without a peer or a resolver, and asks again; nothing else stands in for an upstream
  return key.startsWith('upstreams') || key === 'ipfsHost' ? wrong(check, found, advice) : warning(check, found, advice)
}

function reasonOf(err: unknown): string {
  const { code, message } = err as NodeJS.ErrnoException
  return code ?? message
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '')
}

function ofMultiaddr(key: string, address: string): WantedName[] {
  return multiaddr(address)
    .getComponents()
    .flatMap(({ name: protocol, value }): WantedName[] =>
      value === undefined
        ? []
        : protocol === 'dnsaddr'
          ? [{ key, name: `_dnsaddr.${value}`, record: 'text' }]
          : ['dns', 'dns4', 'dns6'].includes(protocol)
            ? [{ key, name: value, record: 'address' }]
            : [],
    )
}

/** A domain stands for its DNSLink; a directory and a CID need no DNS */
function ofResolver(resolver: string): WantedName[] {
  const [, domain] = /^(?!file:|\/?ipfs\/)\/?(?:ipns\/)?([^/]+\.[^/]+)/.exec(resolver) ?? []
  return domain === undefined ? [] : [{ key: 'cidResolvers', name: `_dnslink.${domain}`, record: 'text' }]
}
