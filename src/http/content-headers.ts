import type { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'

/**
 * Headers of every response. They protect browsers, because nearly every response has something in it that a stranger
 * may have chosen: a blob, a manifest, a name in an error.
 *
 * - nosniff: a browser goes by our Content-Type and does not guess another one.
 * - CSP: if content is opened as a page, it runs no script, loads and sends nothing, can't be framed, and has no
 *   origin, so it can do no more to this server than any other site. (`default-src` does not cover `frame-ancestors`;
 *   the sandbox covers forms and `base`.)
 * - CORP: pages of other origins can't use content as an image, script or style. Only browsers heed this header.
 */
const contentHeaders = Object.entries({
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
})

/** Sets these headers on a response */
export function setContentHeaders(res: ServerResponse): void {
  for (const [name, value] of contentHeaders) {
    res.setHeader(name, value)
  }
}

/** Middleware that sets them on every response */
export const sendAsData: RequestHandler = (_req, res, next) => {
  setContentHeaders(res)
  next()
}
