import type { AccessFiles } from '../../access/files/access-files.ts'
import { AccessReview, type KeyMaker } from '../../access/access-review.ts'
import { AuditReader } from '../../access/audit/audit-reader.ts'
import type { KeyUses } from '../../access/log-in/key-uses.ts'
import type { RecentFailures } from '../../access/audit/recent-failures.ts'
import type { Config } from '../../config/schema.ts'
import type { Logger } from '../../log.ts'
import { OciError } from '../../oci/errors.ts'
import { createKey, KeyRefusedError, revokeKey } from './api-keys.ts'

export interface AccessReviewParts {
  config: Config
  files: AccessFiles
  keyUses: KeyUses
  recentFailures: RecentFailures
  log: Logger
}

/** What administrators see and change of access; loaded only once one of them looks */
export function buildAccessReview({ config, log, ...components }: AccessReviewParts): AccessReview {
  const { auditLog: path, auditLogFiles: files } = config.access
  return new AccessReview({
    ...components,
    keyMaker: keyMakerOf(config, log),
    auditReader: path === undefined ? undefined : new AuditReader({ path, files }),
  })
}

function keyMakerOf(config: Config, log: Logger): KeyMaker {
  const change = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (err) {
      if (err instanceof KeyRefusedError) {
        throw new OciError('REQUEST_INVALID', { detail: { reason: err.message }, cause: err })
      }
      // its message names files of this machine
      log.error('the API keys cannot be changed', { err })
      const reason = 'the file of the API keys cannot be changed now; the log of the server says why'
      throw new OciError('UNAVAILABLE', { detail: { reason }, cause: err })
    }
  }
  return {
    create: async wanted => await change(async () => await createKey(wanted, config)),
    revoke: async name => {
      await change(async () => {
        await revokeKey(name, config)
      })
    },
  }
}
