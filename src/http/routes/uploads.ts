import type { Request, Response } from 'express'
import { isDigestAlgorithm, parseDigest, type Digest, type DigestAlgorithm } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import { parseContentRange, type ByteRange } from '../../oci/range.ts'
import type { ReadOnlyMode } from '../../registry/policies/read-only-mode.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { Repository } from '../../registry/repository.ts'
import { uploadRange } from '../../registry/uploads/upload-range.ts'
import { contentLength } from '../bodies/content-length.ts'
import { clientSignal } from '../request-options.ts'
import { bodyOf } from '../bodies/streamed-body.ts'
import { parseName } from '../../oci/reference.ts'
import { repositoryName } from './repository-name.ts'
import { RegistryRouter } from './registry-router.ts'
import { callerOf } from '../middleware/identify.ts'
import type { BodyTurns } from '../bodies/body-turns.ts'
import type { BodyRate } from '../bodies/steady-body.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { blobPath, paths, uploadPath } from './paths.ts'

interface UploadComponents {
  readOnly: Pick<ReadOnlyMode, 'signal'>
  registry: Registry
  turns: BodyTurns
}

/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs */
export function uploadRoutes(components: UploadComponents, { bodyRate }: { bodyRate: BodyRate }): RegistryRouter {
  const router = new RegistryRouter()
  addStart(router, components, bodyRate)
  addContinuation(router, components, bodyRate)
  return router
}

/** `POST .../blobs/uploads/`: begins an upload, mounts a blob, or takes a whole blob in one request */
function addStart(router: RegistryRouter, { readOnly, registry, turns }: UploadComponents, bodyRate: BodyRate): void {
  const { uploads } = registry

  router
    .route(paths.uploads)
    .all(route('uploads'))
    .post(async (req, res) => {
      const name = repositoryName(req, res, registry)
      const caller = callerOf(res)
      const repository = await registry.repository(name, caller)
      repository.requireWritable()
      if (await mount(repository, req, res)) {
        return
      }
      const algorithm = digestAlgorithm(req)
      const owner = caller.name
      if (req.query.digest === undefined) {
        sendUpload(
          res.status(202),
          name,
          await uploads.create(name, algorithm, { client: req.socket.remoteAddress, owner }),
          0,
        )
        return
      }
      const digest = parseDigest(req.query.digest)
      const id = await uploads.create(name, algorithm, { client: req.socket.remoteAddress, owner })
      try {
        sendBlob(
          res,
          name,
          digest,
          await uploads.commit(name, id, digest, bodyOf(req, turns, bodyRate, readOnly.signal), {
            length: contentLength(req),
            signal: clientSignal(res),
            owner,
          }),
        )
      } catch (err) {
        // the client does not know the id of the upload, so it can't continue it
        await uploads.cancel(name, id, { owner }).catch(() => {})
        throw err
      }
    })
    .all(onlyMethods('POST'))
}

/**
 * `GET PATCH PUT DELETE .../blobs/uploads/<id>`: asks for the size of an upload, appends to it, commits it, cancels it
 */
function addContinuation(
  router: RegistryRouter,
  { readOnly, registry, turns }: UploadComponents,
  bodyRate: BodyRate,
): void {
  const { uploads } = registry

  router
    .route(paths.upload)
    .all(route('upload'), async (req, res, next) => {
      const { name } = target(req, res, registry)
      ;(await registry.repository(name, callerOf(res))).requireWritable()
      next()
    })
    .get(async (req, res) => {
      const { name, id } = target(req, res, registry)
      sendUpload(res.status(204), name, id, await uploads.size(name, id, { owner: callerOf(res).name }))
    })
    .patch(async (req, res) => {
      const { name, id } = target(req, res, registry)
      const range = chunkRange(req)
      sendUpload(
        res.status(202),
        name,
        id,
        await uploads.append(name, id, bodyOf(req, turns, bodyRate, readOnly.signal), {
          range,
          length: contentLength(req),
          signal: clientSignal(res),
          owner: callerOf(res).name,
        }),
      )
    })
    .put(async (req, res) => {
      const { name, id } = target(req, res, registry)
      const digest = parseDigest(req.query.digest)
      const range = chunkRange(req)
      sendBlob(
        res,
        name,
        digest,
        await uploads.commit(name, id, digest, bodyOf(req, turns, bodyRate, readOnly.signal), {
          range,
          length: contentLength(req),
          signal: clientSignal(res),
          owner: callerOf(res).name,
        }),
      )
    })
    .delete(async (req, res) => {
      const { name, id } = target(req, res, registry)
      await uploads.cancel(name, id, { signal: clientSignal(res), owner: callerOf(res).name })
      res.status(204).end()
    })
    .all(onlyMethods('GET', 'HEAD', 'PATCH', 'PUT', 'DELETE'))
}

/**
 * Answers a request for a mount if the blob can be mounted; else the caller begins an upload, as the specification
 * wants it
 */
async function mount(repository: Repository, req: Request, res: Response): Promise<boolean> {
  if (req.query.mount === undefined) {
    return false
  }
  const digest = parseDigest(req.query.mount)
  const from = typeof req.query.from === 'string' && req.query.from !== '' ? parseName(req.query.from) : undefined
  if (!(await repository.mountBlob(digest, from))) {
    return false
  }
  sendBlob(res, repository.name, digest, await repository.blob(digest))
  return true
}

function target(req: Request, res: Response, registry: Registry): { name: string; id: string } {
  return { name: repositoryName(req, res, registry), id: String(req.params['id']) }
}

function digestAlgorithm(req: Request): DigestAlgorithm | undefined {
  const algorithm = req.query['digest-algorithm']
  if (algorithm !== undefined && !isDigestAlgorithm(algorithm)) {
    throw new OciError('DIGEST_INVALID', { detail: { reason: 'digest-algorithm is not supported' } })
  }
  return algorithm
}

/** @throws OciError RANGE_INVALID; SIZE_INVALID if Content-Range and Content-Length differ */
function chunkRange(req: Request): ByteRange | undefined {
  const header = req.get('Content-Range')
  const length = contentLength(req)
  if (header === undefined) {
    return undefined
  }
  const range = parseContentRange(header)
  if (length !== undefined && length !== range.end - range.start + 1) {
    throw new OciError('SIZE_INVALID', { detail: { contentRange: header.slice(0, 100), contentLength: length } })
  }
  return range
}

function sendUpload(res: Response, name: string, id: string, size: number): void {
  res.set({ Location: uploadPath(name, id), 'Docker-Upload-UUID': id, ...uploadRange(size) }).end()
}

function sendBlob(res: Response, name: string, digest: Digest, { cid }: { cid: string | undefined }): void {
  const isReader = callerOf(res).may({ action: 'pull', repository: name })
  res
    .status(201)
    .set({
      Location: blobPath(name, digest),
      'Docker-Content-Digest': digest,
      // by its CID a blob can be had elsewhere
      ...(isReader && cid !== undefined ? { 'X-Ipfs-Cid': cid } : {}),
    })
    .end()
}
