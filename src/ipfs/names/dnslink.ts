import type { DnsClient } from './dns-client.ts'
import { NameNotFoundError } from './errors.ts'
import { parseTarget, type NameTarget } from './name-target.ts'

const prefix = 'dnslink='

/**
 * Looks up the DNSLink of a domain: a TXT record `dnslink=/ipfs/...` or `dnslink=/ipns/...` of `_dnslink.<domain>`, or
 * else of the domain itself. Of several valid ones, the first in alphabetical order counts, as DNS returns them in any
 * order.
 *
 * @returns the target, and for how many seconds it holds
 * @throws NameNotFoundError where no valid one exists, UnavailableError
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
