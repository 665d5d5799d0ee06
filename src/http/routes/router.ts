import { Router } from 'express'

/**
 * A router that matches paths exactly. The default of Express also matches other upper and lower case, and a slash at
 * the end.
 */
export function createRouter(): Router {
  return Router({ caseSensitive: true, strict: true })
}
