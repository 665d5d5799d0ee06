import { isIPv6 } from 'node:net'

/** Groups addresses by client. One IPv6 client usually has a whole /64, so only the first four groups count. */
export function clientKey(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain) || plain.includes('.')) {
    return plain.replace(/^::ffff:/i, '')
  }
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const behind = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? [] : Array<string>(8 - groups.length - behind.length).fill('0')
  return [...groups, ...zeros, ...behind]
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')
}
