import { asyncIterableReader } from '@ipld/car/decoder'
import type { Router, Request, RequestHandler } from 'express'
import type { Logger } from '../../log.ts'
import { invalid } from './admin-json.ts'
import type { Administration } from '../../upkeep/administration.ts'
import type { LeftOut } from '../../upkeep/backup/write-backup.ts'
import { clientSignal } from '../request-options.ts'
import { bodyOf, writeBody } from '../bodies/streamed-body.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { sendProgress } from '../responses/progress-lines.ts'
import { createRouter } from './router.ts'
import type { BodyTurns } from '../bodies/body-turns.ts'
import type { BodyRate } from '../bodies/steady-body.ts'

/** Like JSON, the form of a web page can't send these types without asking this server first */
const blockKeysType = 'application/vnd.ipdr.block-keys'
const carType = 'application/vnd.ipld.car'
/** Milliseconds between interim responses (102), which keep the connection alive until the backup begins */
const interval = 10_000
/** Missing images that a header names; each takes up to 400 characters */
const maxNamed = 20

/**
 * Backup and restore, for the operator:
 *
 * ```
 * POST /ipdr/v1/backup   body: application/vnd.ipdr.block-keys, the first 16 bytes of the digest of each block to
 *                        leave out; answer: a CAR. X-Ipdr-Left-Out has the number of manifests and blobs that are
 *                        missing from it because they are damaged, then the first of them as <repository>@<digest>;
 *                        X-Ipdr-Bytes, about how many bytes will come
 * POST /ipdr/v1/restore  body: application/vnd.ipld.car; answer: lines of JSON, as of /ipdr/v1/gc
 * ```
 *
 * @param init.guard middleware that runs before each route
 */
export function backupRoutes(
  { administration, log, turns }: { administration: Administration; log: Logger; turns: BodyTurns },
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
        await using backup = await administration.backup(bodyOf(req, turns, bodyRate), signal)
        clearInterval(waiting)
        res.set({
          'Content-Type': carType,
          'X-Ipfs-Roots': backup.root,
          'X-Ipdr-Bytes': `${backup.size}`,
          ...leftOutHeader(backup.leftOut),
        })
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
      // unlike other long work it ends when the client disconnects, because it needs the client's body
      const signal = clientSignal(res)
      const body = bodyOf(req, turns, bodyRate)[Symbol.asyncIterator]()
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

/** The number of manifests and blobs that are missing from the backup, and the first of them */
function leftOutHeader(leftOut: readonly LeftOut[]): Record<string, string> {
  const first = leftOut.slice(0, maxNamed).map(({ repository, digest }) => `${repository}@${digest}`)
  return leftOut.length === 0 ? {} : { 'X-Ipdr-Left-Out': [leftOut.length, ...first].join(' ') }
}

function requireType(req: Request, type: string): void {
  if (req.get('Content-Type') !== type) {
    throw invalid(`Content-Type must be ${type}`)
  }
}
