import type { Request, Response, Router } from 'express'
import { OciError } from '../../oci/errors.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import type { PageFile, Pages, ShownPages } from '../pages/pages.ts'
import { createRouter } from './router.ts'

/**
 * What a page may do: run and load what comes from this server, as files of their own, and nothing else; scripts can't
 * make HTML of texts
 *
 * @see https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
 */
const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const filePath = /^\/ui\/(?<version>[0-9a-f]{12})\/(?<file>[\w./-]+)$/

/**
 * The pages at `/` and their files below `/ui/`: the same for everybody, as they hold nothing of what is stored here.
 * Clients that do not ask for HTML get what they get without pages.
 */
export function uiRoutes(shown: ShownPages): Router {
  const router = createRouter()
  const pages = lazily(async () => await (await import('../pages/pages.ts')).loadPages())
  router.use(async (req, res, next) => {
    if (req.path !== '/' || !/^(GET|HEAD)$/.test(req.method) || !/\btext\/html\b/.test(req.get('Accept') ?? '')) {
      next()
      return
    }
    route('ui')(req, res, () => {})
    res.set({ 'Content-Security-Policy': pagePolicy, 'Cache-Control': 'no-cache', Vary: 'Accept, Accept-Encoding' })
    send(req, res, (await pages()).html[shown])
  })
  router
    .route(filePath)
    .all(route('ui'))
    .get(async (req, res) => {
      const file = fileOf(await pages(), req.params)
      res.set({ 'Cache-Control': 'public, max-age=31536000, immutable', Vary: 'Accept-Encoding' })
      send(req, res, file)
    })
    .all(onlyMethods('GET', 'HEAD'))
  return router
}

/** @throws OciError NOT_FOUND, also for a file of another version: old and new ones do not fit together */
function fileOf({ files, version }: Pages, params: { version?: string; file?: string }): PageFile {
  const file = params.version === version ? files.get(params.file ?? '') : undefined
  if (file === undefined) {
    throw new OciError('NOT_FOUND')
  }
  return file
}

function send(req: Request, res: Response, { body, gzip, type }: PageFile): void {
  const isCompressed = req.acceptsEncodings('gzip') === 'gzip'
  const bytes = isCompressed ? gzip : body
  if (isCompressed) {
    res.setHeader('Content-Encoding', 'gzip')
  }
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', bytes.byteLength)
  res.end(bytes)
}

/** Loads once, and again only after a failure */
function lazily<T>(load: () => Promise<T>): () => Promise<T> {
  let loaded: Promise<T> | undefined
  return async () => {
    loaded ??= load().catch(err => {
      loaded = undefined
      throw err
    })
    return await loaded
  }
}
