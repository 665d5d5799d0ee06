/**
 * When a server may be reached without TLS: if it is on this machine, or if the user allows it by `--plain-http`. What
 * counts as this machine is decided by the name alone and never by a DNS look-up: the next look-up may answer
 * differently.
 */
import { BlockList, isIP } from 'node:net'
import { ClientError, InvalidAnswerError } from '../errors.ts'

/** The addresses of `localhost`, without a look-up; IPDR listens on the first one */
const localhosts = ['127.0.0.1', '[::1]']
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** The host of a URL, an IPv6 address without its brackets */
export function bareHost(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

/** Whether the host of a URL is this machine: `localhost`, or an address of the loopback interface */
export function isLoopback(hostname: string): boolean {
  const bare = bareHost(hostname)
  const family = isIP(bare)
  return bare === 'localhost' || (family !== 0 && loopback.check(bare, family === 4 ? 'ipv4' : 'ipv6'))
}

/** The URLs to try in turn: for `http://localhost` one for each loopback address, for any other URL the URL itself */
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

/** Whether two URLs are of one server; a server that was reached as `localhost` may name itself by its address */
export function isSameServer(a: URL, b: URL): boolean {
  return addressesOf(a).some(({ origin }) => addressesOf(b).some(other => other.origin === origin))
}

/** The URL that a server refers to, as in a Location header; throws InvalidAnswerError if it is not a URL */
export function urlFrom(text: string, from: URL): URL {
  if (!URL.canParse(text, from.href)) {
    throw new InvalidAnswerError(`${from.host} refers to something that is not a URL`)
  }
  return new URL(text, from)
}

/**
 * Refuses a URL that would be reached over a network without TLS, unless the user allows it
 *
 * @param allowed whether the user allows plain HTTP
 * @param from the URL whose server refers to this one
 * @throws ClientError
 */
export function requireTls(url: URL, allowed: boolean, from?: URL): void {
  if (!['http:', 'https:'].includes(url.protocol)) {
    throw new InvalidAnswerError(`${from?.host ?? url.href} refers to a URL of ${url.protocol}, not of HTTP`)
  }
  if (url.protocol === 'http:' && from?.protocol === 'https:') {
    throw new InvalidAnswerError(`${from.host} redirects from HTTPS to plain HTTP at ${url.host}`)
  }
  if (url.protocol === 'http:' && !allowed && !isLoopback(url.hostname)) {
    throw new ClientError(
      from === undefined
        ? `${url.host} would be reached without TLS`
        : `${from.host} refers to ${url.host}, which would be reached without TLS`,
      { hint: 'Without TLS, others can read and change what is sent. --plain-http allows it.' },
    )
  }
}
