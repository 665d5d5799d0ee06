import type { Index } from '../../index/index.ts'
import type { QuotaUsage } from '../../registry/quotas/quotas.ts'
import type { ReadOnlyMode, ReadOnlyState } from '../../registry/policies/read-only-mode.ts'
import type { CurrentRun, Run, RunLog } from '../../scheduling/run-log.ts'
import type { BackupSummary } from '../backup/backups.ts'
import type { FsckProgress, FsckSummary } from '../fsck/fsck.ts'
import type { CollectionProgress, CollectionResult } from '../gc/garbage-collector.ts'

/** Uploads that are listed; the rest is only counted */
const maxUploads = 50

export interface StorageStatusComponents {
  space: {
    readonly maxBytes: number | undefined
    readonly refused: number
    readonly usage: { readonly total: number | undefined }
    free: () => Promise<{ free: number; minFree: number; size: number }>
  }
  index: Pick<Index, 'uploads'>
  quotas?: { usage: () => Promise<QuotaUsage[]> } | undefined
  readOnly: Pick<ReadOnlyMode, 'state'>
  collections: Pick<RunLog<CollectionProgress, CollectionResult>, 'current' | 'runs'>
  checks: Pick<RunLog<FsckProgress, FsckSummary>, 'current' | 'runs'>
  copies: Pick<RunLog<never, BackupSummary>, 'current' | 'runs'>
}

export interface StorageStatusInit {
  /** Seconds from one run to the next; 0 means only on request */
  gcInterval: number
  fsckInterval: number
}

/** Work that is done again and again */
export interface Work<Progress, Result> {
  /** Seconds from one run to the next; 0 means only on request */
  interval: number
  /** The run that goes on */
  current?: CurrentRun<Progress> | undefined
  /** The newest first */
  runs: readonly Run<Result>[]
}

/** An upload that was neither completed nor cancelled */
export interface UploadLine {
  repository: string
  /** Absent where callers are not told apart */
  owner?: string | undefined
  /** Bytes that were saved */
  size: number
  /** ISO 8601 */
  started: string
  updated: string
}

/** How the storage is */
export interface StorageReport {
  /** Bytes of all blocks; absent until they are counted */
  used?: number | undefined
  /** The most bytes that blocks may take; absent: as many as the file system has */
  maxBytes?: number | undefined
  /** Bytes of the file system: in all, free, and how many of these must stay free */
  fileSystem: { size: number; free: number; minFree: number }
  /** Writes refused for lack of room since the start */
  refused: number
  quotas: QuotaUsage[]
  /** Absent where the registry takes writes */
  readOnly?: ReadOnlyState | undefined
  gc: Work<CollectionProgress, CollectionResult>
  fsck: Work<FsckProgress, FsckSummary>
  backups: Omit<Work<never, BackupSummary>, 'interval'>
  /** Those that were begun last */
  uploads: { total: number; items: UploadLine[] }
}

export class StorageStatus {
  readonly #components: StorageStatusComponents
  readonly #init: StorageStatusInit

  constructor(components: StorageStatusComponents, init: StorageStatusInit) {
    this.#components = components
    this.#init = init
  }

  async report(): Promise<StorageReport> {
    const { checks, collections, copies, quotas, readOnly, space } = this.#components
    const { fsckInterval, gcInterval } = this.#init
    return {
      used: space.usage.total,
      maxBytes: space.maxBytes,
      fileSystem: await space.free(),
      refused: space.refused,
      quotas: (await quotas?.usage()) ?? [],
      readOnly: readOnly.state,
      gc: { interval: gcInterval, current: collections.current, runs: collections.runs },
      fsck: { interval: fsckInterval, current: checks.current, runs: checks.runs },
      backups: { current: copies.current, runs: copies.runs },
      uploads: await this.#uploads(),
    }
  }

  async #uploads(): Promise<StorageReport['uploads']> {
    const records = await Array.fromAsync(this.#components.index.uploads())
    const items = records
      .map(({ record: { owner, repository, size, started, updated } }) => ({
        repository,
        owner,
        size,
        started,
        updated,
      }))
      .sort((a, b) => (a.started < b.started ? 1 : -1))
    return { total: records.length, items: items.slice(0, maxUploads) }
  }
}
