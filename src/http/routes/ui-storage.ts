import type { RequestHandler, Router } from 'express'
import type { StorageStatus } from '../../upkeep/status/storage-status.ts'
import { onlyMethods } from '../middleware/allowed-methods.ts'
import { route } from '../middleware/request-log.ts'
import { requireJson } from './admin-json.ts'
import { collect, fsck, type UpkeepComponents } from './admin-upkeep.ts'

/**
 * What the page Storage shows to administrators, and what they can have done there, as by `/ipdr/v1`:
 *
 * ```
 * GET  /ui/api/storage                    room, garbage collection, fsck, backups and uploads
 * POST /ui/api/gc {"dryRun":true}         garbage collection, with lines of progress
 * POST /ui/api/fsck {"repair":true}       fsck, with lines of progress
 * ```
 */
export function addStoragePage(
  router: Router,
  { storage, ...upkeep }: UpkeepComponents & { storage: Pick<StorageStatus, 'report'> },
  guard: RequestHandler[],
): void {
  router
    .route('/ui/api/storage')
    .all(route('ui-api'), guard)
    .get(async (_req, res) => {
      res.json(await storage.report())
    })
    .all(onlyMethods('GET', 'HEAD'))
  // these change something, so the audit log has them as it has those of /ipdr/v1
  const admin = [route('administration'), ...guard]
  router.route('/ui/api/gc').all(admin).post(requireJson, collect(upkeep)).all(onlyMethods('POST'))
  router.route('/ui/api/fsck').all(admin).post(requireJson, fsck(upkeep)).all(onlyMethods('POST'))
}
