import { asyncIterableReader } from '@ipld/car/decoder'
import type { Router, Request, RequestHandler } from 'express'
import type { Logger } from '../../log.ts'
import { OciError } from '../../oci/errors.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { LeftOut } from '../../upkeep/backup/write-backup.ts'
import { clientSignal } from '../request-options.ts'
import { bodyOf, writeBody } from '../streamed-body.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { sendProgress } from '../responses/progress-lines.ts'
import { createRouter } from './router.ts'
import type { BodyRate } from '../steady-body.ts'

/** No form of a web page can send one of these without asking first */
const blockKeysType = 'application/vnd.ipdr.block-keys'
const carType = 'application/vnd.ipld.car'
/** Between signs of life, until the backup begins to flow */
const interval = 10_000
/** Each takes up to 400 characters of a header */
const maxNamed = 20

/**
 * Backups, for the operator.
 *
 * ```
 * POST /ipdr/v1/backup   application/vnd.ipdr.block-keys: 16 bytes of the digest of every block that the answer leaves out; the answer is a CAR.
 *                        X-Ipdr-Left-Out: how many manifests and blobs are not in it, as they are damaged, then the first as <repository>@<digest>
 * POST /ipdr/v1/restore  application/vnd.ipld.car; lines of JSON, as from /ipdr/v1/gc
 * ```
 *
 * @param init.guard what comes before each
 */
export function backupRoutes(
  { administration, log }: { administration: Administration; log: Logger },
  { guard, bodyRate }: { guard: RequestHandler[]; bodyRate: BodyRate },
): Router {
  const router = createRouter()
  router
    .route('/ipdr/v1/backup')
    .all(guard)
    .post(async (req, res) => {
      requireType(req, blockKeysType)
      const signal = clientSignal(res)
      const waiting = setInterval(() => {
        res.writeProcessing?.()
      }, interval)
      try {
        await using backup = await administration.backup(bodyOf(req, bodyRate), signal)
        clearInterval(waiting)
        res.set({ 'Content-Type': carType, 'X-Ipfs-Roots': backup.root, ...leftOutHeader(backup.leftOut) })
        await writeBody(res, backup.bytes, signal)
        res.end()
      } finally {
        clearInterval(waiting)
      }
    })
    .all(onlyMethods('POST'))

  router
    .route('/ipdr/v1/restore')
    .all(guard)
    .post(async (req, res) => {
      requireType(req, carType)
      // unlike other work, it needs the client to its end
      const signal = clientSignal(res)
      const body = bodyOf(req, bodyRate)[Symbol.asyncIterator]()
      const source = asyncIterableReader({ [Symbol.asyncIterator]: () => body })
      try {
        await sendProgress(res, log, async onProgress => await administration.restore(source, { onProgress, signal }))
      } finally {
        // the reader never says that it is done; not awaited, since a client that sends nothing would hold it up
        body.return?.().catch(() => {})
      }
    })
    .all(onlyMethods('POST'))
  return router
}

/** How many manifests and blobs are not in the backup, and the first of them */
function leftOutHeader(leftOut: readonly LeftOut[]): Record<string, string> {
  const first = leftOut.slice(0, maxNamed).map(({ repository, digest }) => `${repository}@${digest}`)
  return leftOut.length === 0 ? {} : { 'X-Ipdr-Left-Out': [leftOut.length, ...first].join(' ') }
}

function requireType(req: Request, type: string): void {
  if (req.get('Content-Type') !== type) {
    throw new OciError('REQUEST_INVALID', { detail: { reason: `Content-Type must be ${type}` } })
  }
}
