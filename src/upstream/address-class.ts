import { BlockList, isIPv6 } from 'node:net'
import { ipv6Groups } from '../scheduling/client-key.ts'

/** Where an IP address is, seen from this machine */
export type AddressClass = 'public' | 'private' | 'linkLocal' | 'loopback'

/**
 * Networks that are not the Internet. What leads to this machine counts as loopback: the unspecified address does on
 * Linux. Multicast and reserved addresses are nowhere, so that they count as link-local, which nothing may lead to.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const networks = new Map<Exclude<AddressClass, 'public'>, BlockList>([
  ['loopback', listOf(['127.0.0.0/8', '0.0.0.0/8'], ['::1/128', '::/128'])],
  ['linkLocal', listOf(['169.254.0.0/16', '224.0.0.0/3'], ['fe80::/10', 'ff00::/8'])],
  [
    'private',
    listOf(
      ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '192.0.0.0/24', '198.18.0.0/15'],
      ['fc00::/7', 'fec0::/10'],
    ),
  ],
])

/** IPv4 inside IPv6: mapped, and through NAT64 and 6to4, whose last or second to fifth bytes are the IPv4 address */
const mapped = listOf([], ['::ffff:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48'])
const sixToFour = listOf([], ['2002::/16'])

function listOf(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList()
  for (const [version, subnets] of [
    ['ipv4', ipv4],
    ['ipv6', ipv6],
  ] as const) {
    for (const subnet of subnets) {
      const [network, bits] = subnet.split('/')
      list.addSubnet(network!, Number(bits), version)
    }
  }
  return list
}

/** @param address an IP address, with or without the interface of a link-local one */
export function classOf(address: string): AddressClass {
  const plain = address.replace(/%.*$/, '')
  const inner = isIPv6(plain) ? ipv4Of(plain) : undefined
  const [ip, version] = inner === undefined ? [plain, isIPv6(plain) ? 'ipv6' : 'ipv4'] : [inner, 'ipv4']
  for (const [name, list] of networks) {
    if (list.check(ip, version as 'ipv4' | 'ipv6')) {
      return name
    }
  }
  return 'public'
}

function ipv4Of(address: string): string | undefined {
  // a URL has an IPv4 address at the end of one of IPv6 in hexadecimal digits, too
  const groups = ipv6Groups(new URL(`http://[${address}]`).hostname.slice(1, -1)).map(group =>
    Number.parseInt(group, 16),
  )
  const [high, low] = mapped.check(address, 'ipv6')
    ? groups.slice(6)
    : sixToFour.check(address, 'ipv6')
      ? groups.slice(1, 3)
      : []
  return high === undefined || low === undefined
    ? undefined
    : [high >> 8, high & 0xff, low >> 8, low & 0xff].map(String).join('.')
}

/**
 * Whether a server may refer to an address: to the Internet always, elsewhere only if it is at such an address itself.
 * What runs on this machine may also refer to its private network.
 *
 * @param own class of the address of the server that refers
 */
export function mayReferTo(target: AddressClass, own: AddressClass | undefined): boolean {
  return target === 'public' || target === own || (target === 'private' && own === 'loopback')
}
