import { Key } from 'interface-datastore'
import { OciError } from '../../oci/errors.ts'
import { toOciError } from '../../registry/errors.ts'
import { RunLog } from '../../scheduling/run-log.ts'
import type { BackupSummary } from '../../upkeep/backup/backups.ts'
import type { FsckProgress, FsckSummary } from '../../upkeep/fsck/fsck.ts'
import type { CollectionProgress, CollectionResult } from '../../upkeep/gc/garbage-collector.ts'
import type { Base } from './base.ts'
import type { Network } from './network.ts'

const max = 10

/** The last runs of what keeps the stores in order */
export interface RunLogs {
  collections: RunLog<CollectionProgress, CollectionResult>
  checks: RunLog<FsckProgress, FsckSummary>
  copies: RunLog<never, BackupSummary>
}

export function buildRunLogs({ datastore, log }: Base & Network): RunLogs {
  const build = <Progress, Result>(name: string): RunLog<Progress, Result> => {
    const key = new Key(`/ipdr/runs/${name}`)
    const store = {
      read: async () => ((await datastore.has(key)) ? new TextDecoder().decode(await datastore.get(key)) : undefined),
      write: async (text: string) => {
        await datastore.put(key, new TextEncoder().encode(text))
      },
    }
    return new RunLog({ store, log: log.child({ module: name }) }, { max, reasonOf })
  }
  return { collections: build('gc'), checks: build('fsck'), copies: build('backup') }
}

/** Paths and stacks stay in the log */
function reasonOf(cause: unknown): string {
  const err = toOciError(cause)
  if (!(err instanceof OciError)) {
    return 'an error that the log has'
  }
  const { reason } = err.detail ?? {}
  return typeof reason === 'string' ? reason : err.message
}
