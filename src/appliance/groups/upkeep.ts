import type { AccessParts } from './access.ts'
import { Backups } from '../../upkeep/backup/backups.ts'
import { Restorer } from '../../upkeep/backup/restorer.ts'
import { Fsck } from '../../upkeep/fsck/fsck.ts'
import { GarbageCollector } from '../../upkeep/gc/garbage-collector.ts'
import { HistoryLog } from '../../upkeep/history/history-log.ts'
import { PastImages } from '../../upkeep/history/past-images.ts'
import { PastTags } from '../../upkeep/history/past-tags.ts'
import { Undo } from '../../upkeep/history/undo.ts'
import { Maintenance } from '../../upkeep/maintenance/maintenance.ts'
import { Retention } from '../../upkeep/retention/retention.ts'
import { wholeProtection } from '../../upkeep/retention/rules.ts'
import { BlockListUpgrade } from '../../upkeep/rebuild/block-list-upgrade.ts'
import { IndexRebuilder } from '../../upkeep/rebuild/index-rebuilder.ts'
import { ManifestUpgrade } from '../../upkeep/rebuild/manifest-upgrade.ts'
import { second, type Base } from './base.ts'
import type { NameParts } from './names.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { RegistryParts } from './registry.ts'
import { buildRunLogs, type RunLogs } from './run-logs.ts'
import type { Storage } from './storage.ts'

type Components = Base & Pick<AccessParts, 'access'> & Storage & Network & NameParts & RegistryParts

/** What keeps the stores in order */
export interface Upkeep {
  collector: GarbageCollector
  retention: Retention
  fsck: Fsck
  rebuilder: IndexRebuilder
  backups: Backups
  restorer: Restorer
  undo: Undo
  historyLog: HistoryLog
  pastTags: PastTags
  pastImages: PastImages
  runs: RunLogs
  maintenance: Maintenance
  parts: Part[]
}

export function buildUpkeep(components: Components): Upkeep {
  const { config, storeEvents } = components
  const runs = buildRunLogs(components)
  const withLog = (module: string): Components & RunLogs => ({
    ...components,
    ...runs,
    log: components.log.child({ module }),
  })
  const backups = new Backups(withLog('backup'))
  const blockLists = new BlockListUpgrade(withLog('upgrade'))
  const restorer = new Restorer({ ...withLog('restore'), blockLists })
  const rebuilder = new IndexRebuilder({ ...withLog('rebuild'), blockLists })
  const upgrade = new ManifestUpgrade(withLog('upgrade'))
  const { interval, untagged } = config.gc
  const collector = new GarbageCollector(
    { ...withLog('gc'), backups, upgrade },
    {
      interval: interval * second,
      untagged: untagged === undefined ? undefined : untagged * second,
      isProtected: wholeProtection(config.retention),
      cacheBytes: config.cache.maxBytes,
      historyKeep: config.history.keep * second,
    },
  )
  storeEvents.on('full', bytes => {
    collector.pressure.full(bytes)
  })
  storeEvents.on('evictable', bytes => {
    collector.pressure.fetched(bytes)
  })
  const fsck = new Fsck(
    { ...withLog('fsck'), upgrade },
    { interval: config.fsck.interval * second, rate: config.fsck.rate },
  )
  const { history: remembered, historyWriter } = components.remembered
  const history = config.history.keep > 0 ? historyWriter : undefined
  const retention = new Retention(
    { ...withLog('retention'), history, upgrade },
    { rules: config.retention, interval: config.retentionInterval * second },
  )
  const undo = new Undo({ ...components, history: remembered, writer: history })
  const historyLog = new HistoryLog({ history: remembered })
  const pastTags = new PastTags({ ...components, history: remembered })
  const pastImages = new PastImages({ ...components, history: remembered })
  const maintenance = new Maintenance(
    { ...components, undo, historyLog },
    { historyKeep: config.history.keep, untagged, retention: config.retention },
  )
  return {
    collector,
    retention,
    fsck,
    rebuilder,
    backups,
    restorer,
    undo,
    historyLog,
    pastTags,
    pastImages,
    maintenance,
    runs,
    parts: [
      part('runs of garbage collection', runs.collections),
      part('runs of fsck', runs.checks),
      part('backups that were made', runs.copies),
      part('blocks of older content', blockLists),
      part('index rebuilder', rebuilder),
      part('retention', retention),
      part('garbage collector', collector),
      part('fsck', fsck),
    ],
  }
}
