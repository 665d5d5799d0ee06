/**
 * What keeps a page that somebody looks at from using this registry in their name. Registry clients send none of the headers that are looked
 * at here, and are not concerned.
 */
import type { IncomingMessage } from 'node:http'
import type { Request, RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'
import { authoritiesOf, hostNameOf, isOriginOf } from './authorities.ts'
import type { BrowserHosts } from './browser-hosts.ts'

/**
 * Answers browsers only under the names of this server, and takes from them no writes that pages of other sites begin
 *
 * @throws OciError HOST_UNKNOWN, DENIED; REQUEST_INVALID where there are two `Host` headers, whoever sends them (RFC 9112, section 3.2)
 */
export function guardBrowsers(hosts: Pick<BrowserHosts, 'has'>): RequestHandler {
  return (req, res, next) => {
    requireOneHost(req)
    if (isFromBrowser(req)) {
      requireKnownHost(req, hosts)
    }
    if (req.method === 'GET' || req.method === 'HEAD') {
      next()
    } else {
      refuseOtherSites(req, res, next)
    }
  }
}

/**
 * Refuses what a page of another site sends, whatever the method. So is what comes from another port or subdomain of the same site, which
 * may be anybody's, and from the origin `null`: a sandboxed frame, as which all that was pushed is shown, has that one.
 *
 * @throws OciError DENIED
 */
export const refuseOtherSites: RequestHandler = (req, _res, next) => {
  if (isFromOtherSite(req)) {
    throw new OciError('DENIED', { detail: { reason: 'not for pages of other sites' } })
  }
  next()
}

function isFromOtherSite(req: Request): boolean {
  const site = req.get('Sec-Fetch-Site')
  const origin = req.get('Origin')
  return (
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && !authoritiesOf(req).every(authority => isOriginOf(origin, authority, req.secure)))
  )
}

/**
 * A page can leave out or change any header but `Origin` and `Sec-...`, which browsers add to some requests only (`Sec-...` never where plain
 * HTTP leads to another machine), and in some browsers even `User-Agent`. It can't leave out `Accept-Language`.
 */
function isFromBrowser({ headers }: IncomingMessage): boolean {
  // Node's fetch, which is no browser, sends these two and no further Sec-... with every request
  const isPlainFetch = headers['sec-fetch-mode'] === 'cors'
  const language = headers['accept-language']
  return (
    headers.origin !== undefined ||
    /\bMozilla\//i.test(headers['user-agent'] ?? '') ||
    Object.keys(headers).some(name => name.startsWith('sec-fetch-') && !(name === 'sec-fetch-mode' && isPlainFetch)) ||
    (language !== undefined && !(language === '*' && isPlainFetch))
  )
}

function requireOneHost({ rawHeaders }: IncomingMessage): void {
  if (rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length > 1) {
    throw new OciError('REQUEST_INVALID', { detail: { reason: 'more than one Host' } })
  }
}

function requireKnownHost(req: IncomingMessage, hosts: Pick<BrowserHosts, 'has'>): void {
  const authorities = authoritiesOf(req)
  const unknown = authorities.length === 0 ? '' : authorities.find(authority => !hosts.has(authority))
  if (unknown !== undefined) {
    const host = hostNameOf(unknown)
    throw new OciError('HOST_UNKNOWN', {
      detail:
        host === undefined
          ? { reason: 'the request names no host' }
          : { host, reason: `if this name is right, add it to the registry's configuration: hosts: [${host}]` },
    })
  }
}
