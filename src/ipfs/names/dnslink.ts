import type { DnsClient } from './dns-client.ts'
import { NameNotFoundError } from './errors.ts'
import { parseTarget, type NameTarget } from './name-target.ts'

const prefix = 'dnslink='

/**
 * Looks up where the DNSLink of a domain points: a TXT record `dnslink=/ipfs/...` or `dnslink=/ipns/...` of `_dnslink.<domain>`, or else of
 * the domain itself. Of several, it is the first valid one in alphabetical order: DNS has none of its own.
 *
 * @returns the target, and for how many seconds it holds
 * @throws NameNotFoundError where there is no valid one, UnavailableError
 * @see https://dnslink.dev
 */
export async function resolveDnsLink(
  dns: Pick<DnsClient, 'txt'>,
  domain: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<{ target: NameTarget; ttl: number }> {
  const ttls: number[] = []
  for (const owner of domain.startsWith('_dnslink.') ? [domain] : [`_dnslink.${domain}`, domain]) {
    const { texts, ttl } = await dns.txt(owner, options)
    const target = texts
      .toSorted()
      .filter(text => text.startsWith(prefix))
      .map(text => parseTarget(text.slice(prefix.length).trim()))
      .find(found => found !== undefined)
    if (target !== undefined) {
      return { target, ttl }
    }
    ttls.push(ttl)
  }
  throw new NameNotFoundError(`${domain} has no valid DNSLink`, { ttl: Math.min(...ttls) })
}
