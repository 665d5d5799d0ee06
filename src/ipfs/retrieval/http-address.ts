/**
 * Parses the address of a kubo or gateway: `host:port`, a URL or a multiaddr
 *
 * @returns a URL with a path that ends with a slash, so that paths can be resolved against it
 * @throws RangeError where the text is none of these
 */
export function parseHttpAddress(text: string): URL {
  const multiaddr = urlOfMultiaddr(text)
  const url = multiaddr ?? (/^https?:\/\//i.test(text) ? text : `http://${text}`)
  // URL would take the first part of a path for a host
  if (!URL.canParse(url) || (multiaddr === undefined && text.startsWith('/'))) {
    throw new RangeError(`"${text}" is not host:port, a URL or a multiaddr`)
  }
  const parsed = new URL(url)
  parsed.pathname = parsed.pathname.endsWith('/') ? parsed.pathname : `${parsed.pathname}/`
  return parsed
}

/** @returns undefined where the text is not a multiaddr of an HTTP server */
function urlOfMultiaddr(text: string): string | undefined {
  const [, protocol, host, port, secure] =
    /^\/(ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)(?:\/(https?|tls\/http))?\/?$/.exec(text) ?? []
  if (protocol === undefined) {
    return undefined
  }
  const scheme = secure === undefined || secure === 'http' ? 'http' : 'https'
  return `${scheme}://${protocol === 'ip6' ? `[${host}]` : host}:${port}`
}
