/**
 * Keeps web pages from using this registry by the browser of somebody who visits them (cross-site requests, DNS
 * rebinding). Registry clients send none of the headers by which browsers are told apart here, so nothing changes for
 * them.
 */
import type { IncomingMessage } from 'node:http'
import type { Request, RequestHandler } from 'express'
import { OciError } from '../../oci/errors.ts'
import { authoritiesOf, hostNameOf, isOriginOf } from './authorities.ts'
import type { BrowserHeaders } from './browser-headers.ts'
import type { BrowserHosts } from './browser-hosts.ts'

/**
 * Answers browsers only under the names of this server and with headers for them, and refuses writes from pages of
 * other sites
 *
 * @throws OciError HOST_UNKNOWN, DENIED; REQUEST_INVALID for two `Host` headers, from any client (RFC 9112, section
 *   3.2)
 */
export function guardBrowsers(hosts: Pick<BrowserHosts, 'has'>, headers: Pick<BrowserHeaders, 'set'>): RequestHandler {
  const refuseWrites: RequestHandler = (req, res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD') {
      next()
    } else {
      refuseOtherSites(req, res, next)
    }
  }
  const guardBrowser: RequestHandler = async (req, res, next) => {
    await headers.set(req, res)
    requireKnownHost(req, hosts)
    await refuseWrites(req, res, next)
  }
  return (req, res, next) => {
    requireOneHost(req)
    return (isFromBrowser(req) ? guardBrowser : refuseWrites)(req, res, next)
  }
}

/**
 * Refuses requests of any method from pages of another origin. That includes other ports and subdomains of the same
 * site, which may belong to somebody else, and the origin `null`, which pushed content has if a browser shows it (see
 * content-headers.ts).
 *
 * @throws OciError DENIED
 */
export const refuseOtherSites: RequestHandler = (req, _res, next) => {
  if (isFromOtherSite(req)) {
    throw new OciError('DENIED', { detail: { reason: 'not for pages of other sites' } })
  }
  next()
}

/** Whether a browser says that a page of this very origin sends a request; a page can't make it say so */
export function isFromOwnPage(req: Request): boolean {
  return !isFromOtherSite(req) && (req.get('Sec-Fetch-Site') === 'same-origin' || req.get('Origin') !== undefined)
}

export function isFromOtherSite(req: Request): boolean {
  const site = req.get('Sec-Fetch-Site')
  const origin = req.get('Origin')
  return (
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (origin !== undefined && !authoritiesOf(req).every(authority => isOriginOf(origin, authority, req.secure)))
  )
}

/**
 * Whether a browser sends this request. No single header tells: browsers add `Origin` and `Sec-...` only to some
 * requests (`Sec-...` never over plain HTTP to another machine), and a page can change `User-Agent` in some browsers. A
 * page can't leave out `Accept-Language`.
 */
function isFromBrowser({ headers }: IncomingMessage): boolean {
  // Node's fetch sends `sec-fetch-mode: cors` and `accept-language: *` with every request, and no other Sec-... header
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
  let hosts = 0
  // names and values alternate
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    hosts += name.length === 4 && name.toLowerCase() === 'host' ? 1 : 0
  }
  if (hosts > 1) {
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
