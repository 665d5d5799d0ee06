/** A host as URLs have it: IPv6 addresses in brackets */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
