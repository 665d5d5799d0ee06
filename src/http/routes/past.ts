import type { Request, Response, Router } from 'express'
import { parseDigest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { isSafeManifestType } from '../../oci/manifest/media-types.ts'
import { parseName, parseReference } from '../../oci/reference.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { Repository } from '../../registry/repository.ts'
import type { PastImages } from '../../upkeep/history/past-images.ts'
import { requestOptions } from '../request-options.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { callerOf } from '../middleware/identify.ts'
import { addLogFields, route } from '../middleware/request-log.ts'
import { writeBody } from '../bodies/streamed-body.ts'
import { pointIn } from './admin-history.ts'
import { createRouter } from './router.ts'

interface Components {
  registry: Registry
  pastImages: PastImages
}

/**
 * Images as a repository had them in an earlier state, for whoever may pull from it now. The distribution API knows
 * nothing of states, so that no client comes upon one by guessing.
 *
 * ```
 * GET /past/manifest?name=app&reference=v1&at=40   at: a state, or a time (RFC 3339) at which it was in force
 * GET /past/blob?name=app&digest=sha256:...&at=40
 * ```
 */
export function pastRoutes(components: Components): Router {
  const router = createRouter()
  for (const [path, send] of [
    ['/past/manifest', sendManifest],
    ['/past/blob', sendBlob],
  ] as const) {
    router
      .route(path)
      .all(route('past'))
      .get(async (req, res) => {
        await send(repositoryOf(components, req, res), req, res)
      })
      .all(onlyMethods('GET'))
  }
  return router
}

async function sendManifest(repository: Repository, req: Request, res: Response): Promise<void> {
  const options = requestOptions(req, res)
  const { digest, mediaType, read, root } = await repository.manifest(parseReference(req.query['reference']), options)
  addLogFields(res, { digest, cid: root })
  const bytes = await read(options)
  res.set({ 'Docker-Content-Digest': digest, ...(root === undefined ? {} : { 'X-Ipfs-Cid': root }) })
  // not res.type(), which would add a charset
  res.setHeader('Content-Type', isSafeManifestType(mediaType) ? mediaType : 'application/octet-stream')
  res.end(bytes)
}

async function sendBlob(repository: Repository, req: Request, res: Response): Promise<void> {
  const options = requestOptions(req, res)
  const blob = await repository.blob(parseDigest(req.query['digest']), options)
  res.set({
    'Docker-Content-Digest': blob.digest,
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(blob.size),
  })
  await writeBody(res, blob.read(options), options.signal)
  res.end()
}

function repositoryOf({ pastImages, registry }: Components, { query }: Request, res: Response): Repository {
  const name = parseName(query['name'])
  const at = pointIn('at', query['at'])
  if (at === undefined) {
    throw new OciError('REQUEST_INVALID', { detail: { reason: 'at must be a state or a time' } })
  }
  return registry.pastRepository(name, callerOf(res), now => pastImages.repository(now, at))
}
