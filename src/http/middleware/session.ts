/**
 * What the browser of somebody keeps who logs in. It is sent with whatever a page asks for, so it counts only where a
 * browser says that a page of ours asks, or that somebody opens a page. Requests with a log-in of their own do without.
 */
import type { CookieOptions, Request, Response } from 'express'
import type { Access } from '../../access/access.ts'
import { ticketLifetime } from '../../access/tokens/tokens.ts'
import { publicUrl } from '../public-url.ts'
import { isFromOtherSite, isFromOwnPage } from './browsers.ts'

const names = { session: 'ipdr-session', ticket: 'ipdr-log-in' } as const

type Kind = keyof typeof names

/** The session of who asks; undefined where there is none that counts for this request */
export function sessionOf(req: Request, access: Pick<Access, 'tokenUrl'>): string | undefined {
  return req.headers.cookie === undefined || !mayCount(req) ? undefined : readCookie(req, access, 'session')
}

/**
 * Undefined also where there are several, as another server of this host may have set one, and where the value is none
 * of ours: decoders of base64 pass over blanks
 */
export function readCookie(req: Request, access: Pick<Access, 'tokenUrl'>, kind: Kind): string | undefined {
  const { name } = cookieOf(req, access, kind)
  const values = (req.headers.cookie ?? '')
    .split(';')
    .map(text => text.trim())
    .filter(text => text.startsWith(`${name}=`))
  return values.length === 1 ? /^[^=]+=([\w.-]+)$/.exec(values[0]!)?.[1] : undefined
}

export function setCookie(
  req: Request,
  res: Response,
  access: Pick<Access, 'tokenUrl'>,
  kind: Kind,
  value: string,
): void {
  const { name, options } = cookieOf(req, access, kind)
  // a session ends with the browser, or when it says so itself
  res.cookie(name, value, { ...options, ...(kind === 'ticket' ? { maxAge: ticketLifetime * 1000 } : {}) })
}

export function clearCookie(req: Request, res: Response, access: Pick<Access, 'tokenUrl'>, kind: Kind): void {
  const { name, options } = cookieOf(req, access, kind)
  res.clearCookie(name, options)
}

/** With that prefix, no other host and nothing without TLS can set a cookie of this name */
function cookieOf(
  req: Request,
  access: Pick<Access, 'tokenUrl'>,
  kind: Kind,
): { name: string; options: CookieOptions } {
  const secure = publicUrl(req, access).startsWith('https:')
  return {
    name: `${secure ? '__Host-' : ''}${names[kind]}`,
    options: { httpOnly: true, path: '/', sameSite: 'lax', secure, encode: String },
  }
}

function mayCount(req: Request): boolean {
  return req.method === 'GET' || req.method === 'HEAD'
    ? !isFromOtherSite(req) || req.get('Sec-Fetch-Mode') === 'navigate'
    : isFromOwnPage(req)
}
