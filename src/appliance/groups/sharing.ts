import { Digests } from '../../ipfs/digests/digests.ts'
import { KnownDigests } from '../../registry/known-digests.ts'
import type { AccessParts } from './access.ts'
import type { Base } from './base.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { Storage } from './storage.ts'

/** What appliances tell each other of the blobs that they have */
export interface Sharing {
  digests: Digests
  parts: Part[]
}

export function buildSharing({
  blockstore,
  index,
  log,
  node,
  pullerOf,
}: Base & AccessParts & Storage & Network): Sharing {
  const answers = new KnownDigests({ blockstore, index, puller: pullerOf })
  const digests = new Digests({ node, answers, log: log.child({ module: 'digests' }) })
  return { digests, parts: [part('digests of peers', digests)] }
}
