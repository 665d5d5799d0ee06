import { isIP, isIPv6 } from 'node:net'
import type { IncomingMessage } from 'node:http'

const pattern = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]{1,255}))(?::(\d{1,5}))?$/i

/**
 * Every `host:port` that a request is addressed to: in the `Host` header, in `:authority` of HTTP/2, and in a request
 * line with a whole URL. If they differ, proxies and servers disagree on which one counts (RFC 9112, section 3.2), so a
 * check has to look at all of them.
 */
export function authoritiesOf({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>): string[] {
  const ofUrl = url.startsWith('/') || url === '*' ? undefined : (URL.parse(url)?.host ?? '')
  const all = [ofUrl, headers[':authority'] as string | undefined, headers.host].filter(
    authority => authority !== undefined,
  )
  return [...new Set(all)]
}

/**
 * The name or IP address of a `host:port`, in lower case, without port, brackets and a dot at the end
 *
 * @returns undefined if the text is not a `host:port`
 */
export function hostNameOf(authority: string): string | undefined {
  const [, six, name] = pattern.exec(authority) ?? []
  if (six !== undefined) {
    return isIPv6(six) ? six.toLowerCase() : undefined
  }
  const short = name?.toLowerCase().replace(/\.$/, '')
  return short === '' || (isIP(short ?? '') === 0 && short?.split('.').includes('')) ? undefined : short
}

/**
 * Whether an `Origin` header is the origin of the server at `host:port`
 *
 * @param secure whether the request came by TLS. If it did not, a proxy may have taken the TLS off, so its origin may
 *   have either scheme.
 */
export function isOriginOf(origin: string, authority: string, secure: boolean): boolean {
  const { protocol, host, origin: canonical } = URL.parse(origin) ?? {}
  const schemes = secure ? ['https:'] : ['https:', 'http:']
  return (
    protocol !== undefined &&
    schemes.includes(protocol) &&
    canonical === origin.toLowerCase() &&
    hostNameOf(authority) !== undefined &&
    URL.parse(`${protocol}//${authority}`)?.host === host
  )
}
