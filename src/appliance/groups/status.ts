import { usualPort } from '../../ipfs/node/listen.ts'
import { NetworkStatus } from '../../upkeep/status/network-status.ts'
import type { Base } from './base.ts'
import type { Network } from './network.ts'

/** What tells operators how the appliance is */
export interface Status {
  network: NetworkStatus
}

export function buildStatus({ config, node }: Base & Network): Status {
  const { network, p2p } = config
  return { network: new NetworkStatus({ node }, { network, port: p2p.port ?? usualPort }) }
}
