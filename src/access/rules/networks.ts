import { isIP } from 'node:net'
import { ipv6Groups } from '../../scheduling/client-key.ts'

const lengths = { 4: 32, 6: 128 } as const

interface Network {
  version: 4 | 6
  bits: number
  /** The bits of the address that count */
  prefix: bigint
}

/**
 * Finds the networks that an address is in. There is one look for each length of a prefix that occurs, however many
 * networks there are.
 */
export class Networks {
  /** Subjects by prefix, by its length, by the version of IP */
  readonly #byVersion = { 4: new Map<number, Map<bigint, string[]>>(), 6: new Map<number, Map<bigint, string[]>>() }

  /** @throws RangeError where the text is no network */
  add(text: string, subject: string): void {
    const { version, bits, prefix } = parseNetwork(text)
    const ofLength = this.#byVersion[version].get(bits) ?? new Map<bigint, string[]>()
    this.#byVersion[version].set(bits, ofLength)
    ofLength.set(prefix, [...(ofLength.get(prefix) ?? []), subject])
  }

  /** The subjects of all networks that an IP address is in */
  subjectsOf(address: string): string[] {
    if (this.#byVersion[4].size + this.#byVersion[6].size === 0) {
      return []
    }
    // an IPv4 client of a socket that takes both versions, and the interface of a link-local address
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
    const version = versionOf(plain)
    if (version === undefined) {
      return []
    }
    const value = numberOf(plain, version)
    return [...this.#byVersion[version]].flatMap(
      ([bits, ofLength]) => ofLength.get(prefixOf(value, version, bits)) ?? [],
    )
  }
}

/** @throws RangeError where it is no address, or has more bits than one */
export function parseNetwork(text: string): Network {
  const [, address = '', length] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = versionOf(address)
  if (version === undefined || Number(length ?? 0) > lengths[version]) {
    throw new RangeError('must be an IP address or a network such as 192.0.2.0/24')
  }
  const bits = Number(length ?? lengths[version])
  return { version, bits, prefix: prefixOf(numberOf(address, version), version, bits) }
}

function versionOf(address: string): 4 | 6 | undefined {
  const version = address.includes('%') ? 0 : isIP(address)
  return version === 4 || version === 6 ? version : undefined
}

function prefixOf(value: bigint, version: 4 | 6, bits: number): bigint {
  return value >> BigInt(lengths[version] - bits)
}

function numberOf(address: string, version: 4 | 6): bigint {
  if (version === 4) {
    return BigInt(address.split('.').reduce((value, byte) => value * 256 + Number(byte), 0))
  }
  // a URL has every IPv6 address in groups of hexadecimal digits
  const groups = ipv6Groups(new URL(`http://[${address}]`).hostname.slice(1, -1))
  return groups.reduce((value, group) => (value << 16n) | BigInt(`0x${group}`), 0n)
}
