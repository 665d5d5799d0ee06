import { isIP, isIPv6 } from 'node:net'
import type { IncomingMessage } from 'node:http'

const pattern = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9_.-]{1,255}))(?::(\d{1,5}))?$/i

/**
 * Each `host:port` that a request says it is for: `Host`, `:authority` of HTTP/2, and a request line that is a whole URL. Which of them counts
 * where they differ is read differently by programs that a request passes (RFC 9112, section 3.2): whoever checks one has to check all.
 */
export function authoritiesOf({ url = '', headers }: Pick<IncomingMessage, 'url' | 'headers'>): string[] {
  const ofUrl = url.startsWith('/') || url === '*' ? undefined : (URL.parse(url)?.host ?? '')
  const all = [ofUrl, headers[':authority'] as string | undefined, headers.host].filter(
    authority => authority !== undefined,
  )
  return [...new Set(all)]
}

/**
 * The name or IP address of `host:port`, in lower case, without a port, brackets and the dot of a name that is complete
 *
 * @returns undefined where the text is neither of them
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
 * Whether an `Origin` header is that of the server at `host:port`
 *
 * @param secure whether the request came by TLS. One that did not may have done so as far as a proxy: its origin may have either scheme then.
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
