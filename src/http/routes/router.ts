import { Router } from 'express'

/** A router that takes a path as it is written, as the app does: one of Express's own takes any case and a slash at the end, too */
export function createRouter(): Router {
  return Router({ caseSensitive: true, strict: true })
}
