import { isIPv6 } from 'node:net'

/** Groups addresses by client. One IPv6 client usually has a whole /64, so only the first four groups count. */
export function clientKey(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain) || plain.includes('.')) {
    return plain.replace(/^::ffff:/i, '')
  }
  return ipv6Groups(plain)
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}

/**
 * The eight groups of an IPv6 address
 *
 * @param address of hexadecimal digits alone, without an IPv4 address at its end
 */
export function ipv6Groups(address: string): string[] {
  const [before = [], after] = address.split('::').map(text => (text === '' ? [] : text.split(':')))
  return after === undefined
    ? before
    : [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
}
