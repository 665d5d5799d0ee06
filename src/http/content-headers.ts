import type { ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'

/**
 * For every response, as nearly all of them have something in them that somebody else chose: a manifest, a blob, a name in an error.
 *
 * - A browser takes the type that we say, and never guesses.
 * - Shown as a page, the content runs no script, loads nothing and sends nothing, is in no frame, and is of no origin: it can ask this server
 *   for nothing that any other site could not. (`frame-ancestors` is not covered by `default-src`; the sandbox covers forms and `base`.)
 * - Pages of other origins can't use it as an image, script or style. What isn't a browser passes over this header.
 */
const contentHeaders = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
}

/** Has browsers take what is sent for data, whatever it is */
export function setContentHeaders(res: ServerResponse): void {
  for (const [name, value] of Object.entries(contentHeaders)) {
    res.setHeader(name, value)
  }
}

/** The same for each response of an app */
export const sendAsData: RequestHandler = (_req, res, next) => {
  setContentHeaders(res)
  next()
}
