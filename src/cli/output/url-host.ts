/** A host as URLs have it: IPv6 addresses in brackets */
export function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
