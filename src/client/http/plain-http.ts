/**
 * Where a registry may be reached without TLS: on this machine, or where somebody asked for it. A look-up of names says nothing about that: the next one
 * may have another answer.
 */
import { BlockList, isIP } from 'node:net'
import { ClientError } from '../errors.ts'

/** What `localhost` is, whatever a look-up says; IPDR listens on the first */
const localhosts = ['127.0.0.1', '[::1]']
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether a host of a URL is this machine by its name alone: `localhost`, or an address of the loopback interface */
export function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '')
  const family = isIP(bare)
  return bare === 'localhost' || (family !== 0 && loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6'))
}

/** The URLs to try in turn for one: of `localhost` without TLS those of the loopback interface, whose names need no look-up */
export function addressesOf(url: URL): URL[] {
  if (url.protocol !== 'http:' || url.hostname !== 'localhost') {
    return [url]
  }
  return localhosts.map(host => {
    const address = new URL(url)
    address.hostname = host
    return address
  })
}

/** Whether two URLs are of one server; one that was asked as `localhost` knows itself by its address */
export function isSameServer(a: URL, b: URL): boolean {
  return addressesOf(a).some(({ origin }) => addressesOf(b).some(other => other.origin === origin))
}

/** @throws ClientError where a server sends to what is no URL */
export function urlFrom(text: string, from: URL): URL {
  if (!URL.canParse(text, from.href)) {
    throw new ClientError(`${from.host} sends to what is no URL`)
  }
  return new URL(text, from)
}

/**
 * Refuses what would go over a network without TLS unasked
 *
 * @param asked whether somebody asked for it
 * @param from what leads there
 * @throws ClientError
 */
export function requireTls(url: URL, asked: boolean, from?: URL): void {
  if (!['http:', 'https:'].includes(url.protocol)) {
    throw new ClientError(`${from?.host ?? url.href} sends to ${url.protocol} instead of a URL of HTTP`)
  }
  if (url.protocol === 'http:' && from?.protocol === 'https:') {
    throw new ClientError(`${from.host} sends from HTTPS to ${url.host} without TLS`)
  }
  if (url.protocol === 'http:' && !asked && !isLoopback(url.hostname)) {
    throw new ClientError(
      `${from === undefined ? '' : `${from.host} sends to `}${url.host} without TLS, which nobody asked for`,
      {
        hint: 'Without TLS, others see and change what is sent. --plain-http asks for it.',
      },
    )
  }
}
