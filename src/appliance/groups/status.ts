import { usualPort } from '../../ipfs/node/listen.ts'
import { ServedBytes } from '../../upkeep/status/served-bytes.ts'
import { NetworkStatus } from '../../upkeep/status/network-status.ts'
import { StorageStatus } from '../../upkeep/status/storage-status.ts'
import type { Base } from './base.ts'
import type { NameParts } from './names.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { RegistryParts } from './registry.ts'
import type { Storage } from './storage.ts'
import type { Upkeep } from './upkeep.ts'

/** What tells operators how the appliance is */
export interface Status {
  network: NetworkStatus
  storage: StorageStatus
  parts: Part[]
}

export function buildStatus(components: Base & Storage & Network & NameParts & RegistryParts & Upkeep): Status {
  const { blockstore, config, runs } = components
  const { fsck, gc, network, p2p } = config
  const served = new ServedBytes(components)
  return {
    parts: [part('bytes by source', served)],
    network: new NetworkStatus({ ...components, served }, { network, port: p2p.port ?? usualPort }),
    storage: new StorageStatus(
      { ...components, ...runs, space: blockstore.space },
      { gcInterval: gc.interval, fsckInterval: fsck.interval },
    ),
  }
}
