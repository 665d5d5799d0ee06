import type { Config } from '../config/schema.ts'
import { Backups, type BackupsComponents } from '../upkeep/backup/backups.ts'
import { GarbageCollector, type GarbageCollectorComponents } from '../upkeep/gc/garbage-collector.ts'
import { IndexRebuilder, type IndexRebuilderComponents } from '../upkeep/rebuild/index-rebuilder.ts'
import { ManifestUpgrade, type ManifestUpgradeComponents } from '../upkeep/rebuild/manifest-upgrade.ts'
import { Restorer, type RestorerComponents } from '../upkeep/backup/restorer.ts'
import { Fsck, type FsckComponents } from '../upkeep/fsck/fsck.ts'

const second = 1000

export type UpkeepComponents = Omit<GarbageCollectorComponents, 'backups' | 'upgrade'> &
  Omit<FsckComponents, 'upgrade'> &
  ManifestUpgradeComponents &
  IndexRebuilderComponents &
  BackupsComponents &
  RestorerComponents

/** What keeps a store healthy, and the parts of it that start and stop, in this order */
export interface Upkeep {
  collector: GarbageCollector
  fsck: Fsck
  rebuilder: IndexRebuilder
  backups: Backups
  restorer: Restorer
  parts: Array<{ name: string; start: () => Promise<void>; stop: () => Promise<void> }>
}

export function buildUpkeep(components: UpkeepComponents, { cache, fsck: fsckConfig, gc }: Config): Upkeep {
  const of = (module: string): UpkeepComponents => ({ ...components, log: components.log.child({ module }) })
  const backups = new Backups(of('backup'))
  const restorer = new Restorer(of('restore'))
  const rebuilder = new IndexRebuilder(of('rebuild'))
  const upgrade = new ManifestUpgrade(of('upgrade'))
  const collector = new GarbageCollector(
    { ...of('gc'), backups, upgrade },
    {
      interval: gc.interval * second,
      untagged: gc.untagged === undefined ? undefined : gc.untagged * second,
      cacheBytes: cache.maxBytes,
    },
  )
  const fsck = new Fsck({ ...of('fsck'), upgrade }, { interval: fsckConfig.interval * second, rate: fsckConfig.rate })
  const parts = Object.entries({ 'index rebuilder': rebuilder, 'garbage collector': collector, fsck }).map(
    ([name, part]) => ({
      name,
      start: async () => {
        await part.start()
      },
      stop: async () => {
        await part.stop()
      },
    }),
  )
  return { collector, fsck, rebuilder, backups, restorer, parts }
}
