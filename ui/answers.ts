/** What `/ui/api/` answers: the types of src/registry/overview/ and src/upkeep/, as JSON */
import type { Comparison as ImageComparison } from '../src/registry/overview/comparison.ts'
import type { ImageDetails as OverviewImage } from '../src/registry/overview/content/image-details.ts'
import type { TagLine as OverviewTag } from '../src/registry/overview/overview.ts'
import type { Rights } from '../src/upkeep/maintenance/maintenance.ts'

export type { ReviewedKey } from '../src/access/access-review.ts'
export type { ReviewedUpstream } from '../src/registry/mirror/mirror-review.ts'
export type { ComparedLayer, ImageDifferences } from '../src/registry/overview/comparison.ts'
export type { ComparedFile, FileComparison, ShownFile } from '../src/registry/overview/files/file-comparison.ts'
export type { LayerListing, Listed } from '../src/registry/overview/files/image-files.ts'
export type { ListingRefusal } from '../src/registry/overview/files/listing-bounds.ts'
export type { ImageConfig, Step } from '../src/registry/overview/content/image-config.ts'
export type { Layer, Variant } from '../src/registry/overview/content/image-details.ts'
export type { Limited, Pair } from '../src/registry/overview/content/limited.ts'
export type { Place } from '../src/registry/overview/catalogue/locator.ts'
export type { FolderLine, PartOf, RepositoryLine } from '../src/registry/overview/overview.ts'
export type { Referrer } from '../src/registry/overview/content/referrers.ts'
export type { Change, Differences, TagDifference } from '../src/upkeep/history/history-log.ts'
export type { Undone } from '../src/upkeep/history/undo.ts'
export type { DeletionResult, TagToGo } from '../src/upkeep/maintenance/deletions.ts'
export type { Move, Rights } from '../src/upkeep/maintenance/maintenance.ts'
export type { NetworkReport, PeerLine } from '../src/upkeep/status/network-status.ts'
export type { StorageReport } from '../src/upkeep/status/storage-status.ts'
export type { FsckSummary } from '../src/upkeep/fsck/fsck.ts'
export type { CollectionResult } from '../src/upkeep/gc/garbage-collector.ts'
export type { Run } from '../src/scheduling/run-log.ts'

export type { Session } from '../src/http/routes/ui-session.ts'

/** A rule of access.yml */
export type { Rule as AccessRule } from '../src/access/rules/rules.ts'
export type { Explanation } from '../src/access/explain-access.ts'
export type { FailedLogIn } from '../src/access/audit/recent-failures.ts'
export type { ReviewedUser, Summary as AccessSummary } from '../src/access/access-review.ts'

/** A line of the audit log, as far as a page shows it */
export interface AuditEntry {
  time: string
  action: string
  outcome: string
  who?: string
  kind?: string
  address?: string
  repository?: string
  reference?: string
  digest?: string
  path?: string
  rule?: string
  reason?: string
  added?: string[]
  removed?: string[]
  replaced?: string[]
}

export interface TagLine extends OverviewTag {
  mayDelete: boolean
  isImmutable: boolean
}

export interface ImageDetails extends OverviewImage {
  may: Rights
}

export interface Comparison extends ImageComparison {
  /** Up to which files of layers are listed */
  fileBounds: { bytes: number; entries: number }
}
