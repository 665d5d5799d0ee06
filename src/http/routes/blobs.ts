import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { parseDigest } from '../../oci/digest.ts'
import { parseRange, type ByteRange } from '../../oci/range.ts'
import type { Registry } from '../../registry/repositories/registry.ts'
import type { Metrics } from '../../metrics.ts'
import type { Blob, ReadBlobOptions } from '../../registry/repository.ts'
import { requestOptions } from '../request-options.ts'
import { writeBody } from '../bodies/streamed-body.ts'
import { setHeaders } from '../responses/answer.ts'
import { etag, isNotModified } from '../responses/etag.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { countSources } from '../responses/provenance.ts'
import { readParts } from '../responses/range-parts.ts'
import { repositoryName } from './repository-name.ts'
import { RegistryRouter } from './registry-router.ts'
import { callerOf } from '../middleware/identify.ts'
import { paths } from './paths.ts'

const contentType = 'application/octet-stream'

type ReadOptions = ReturnType<typeof requestOptions> & Pick<ReadBlobOptions, 'onSource'>

/** @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs */
export function blobRoutes(
  { registry, metrics }: { registry: Registry; metrics: Metrics },
  { maxRanges }: { maxRanges: number },
): RegistryRouter {
  const router = new RegistryRouter()
  router
    .route(paths.blob)
    .all(route('blob'))
    .get(async (req, res) => {
      const caller = callerOf(res)
      const repository = await registry.repository(repositoryName(req, res, registry), caller)
      const options: ReadOptions = requestOptions(req, res)
      options.onSource = countSources(res, metrics, repository.upstream)
      options.whole = req.method === 'HEAD'
      const blob = await repository.blob(parseDigest(req.params.digest), options)
      const isPublic = caller.isPublic(blob.repository ?? repository.name)
      setHeaders(res, {
        'Docker-Content-Digest': blob.digest,
        ETag: etag(blob.digest),
        'Cache-Control': `${isPublic ? 'public' : 'private'}, max-age=31536000, immutable`,
        'Accept-Ranges': 'bytes',
        ...(blob.cid === undefined ? {} : { 'X-Ipfs-Cid': blob.cid }),
      })
      if (isNotModified(req, blob.digest)) {
        res.status(304).end()
        return
      }
      const ranges = wantedRanges(req, blob, maxRanges)
      if (ranges === undefined) {
        setHeaders(res, { 'Content-Type': contentType, 'Content-Length': String(blob.size) })
        await sendBlob(req, res, blob, options)
      } else {
        res.status(206)
        await sendRanges(req, res, blob, ranges, options)
      }
    })
    .delete(async (req, res) => {
      const repository = await registry.repository(repositoryName(req, res, registry), callerOf(res))
      await repository.deleteBlob(parseDigest(req.params.digest))
      res.status(202).end()
    })
    .all(onlyMethods('GET', 'HEAD', 'DELETE'))
  return router
}

/**
 * The ranges that a GET asks for; undefined for the whole blob, also if the client has a part of another blob
 * (If-Range)
 */
function wantedRanges(req: Request, blob: Blob, maxRanges: number): ByteRange[] | undefined {
  const condition = req.get('If-Range')
  const applies = req.method === 'GET' && (condition === undefined || condition === etag(blob.digest))
  return applies ? parseRange(req.get('Range'), blob.size, maxRanges) : undefined
}

async function sendRanges(
  req: Request,
  res: Response,
  blob: Blob,
  ranges: ByteRange[],
  options: ReadOptions,
): Promise<void> {
  const [first] = ranges
  if (ranges.length === 1 && first !== undefined) {
    res.set({
      'Content-Type': contentType,
      'Content-Range': contentRange(first, blob.size),
      'Content-Length': String(first.end - first.start + 1),
    })
    await sendBlob(req, res, blob, { ...options, ...first })
    return
  }
  // multipart/byteranges: RFC 9110, section 14.6
  const boundary = randomUUID()
  const parts = ranges.map((range, i) => ({
    header: [
      `${i === 0 ? '' : '\r\n'}--${boundary}`,
      `Content-Type: ${contentType}`,
      `Content-Range: ${contentRange(range, blob.size)}`,
      '\r\n',
    ].join('\r\n'),
    range,
  }))
  const end = `\r\n--${boundary}--\r\n`
  const length = parts.reduce(
    (total, { header, range }) => total + header.length + range.end - range.start + 1,
    end.length,
  )
  res.set({ 'Content-Type': `multipart/byteranges; boundary=${boundary}`, 'Content-Length': String(length) })
  await writeBody(
    res,
    readParts(range => blob.read({ ...options, ...range }), parts),
    options.signal,
  )
  res.end(end)
}

async function sendBlob(
  req: Request,
  res: Response,
  blob: Blob,
  options: ReadOptions & Partial<ByteRange>,
): Promise<void> {
  if (req.method === 'HEAD') {
    if (blob.source !== undefined) {
      options.onSource?.(blob.source, 0)
    }
  } else {
    await writeBody(res, blob.read(options), options.signal)
  }
  res.end()
}

function contentRange({ start, end }: ByteRange, size: number): string {
  return `bytes ${start}-${end}/${size}`
}
