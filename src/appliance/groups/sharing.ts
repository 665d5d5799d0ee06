import { DigestProviders } from '../../ipfs/digests/digest-providers.ts'
import { Digests } from '../../ipfs/digests/digests.ts'
import { PeerBlocks } from '../../ipfs/digests/peer-blocks.ts'
import { KnownDigests } from '../../registry/sharing/known-digests.ts'
import type { BlobPeersComponents } from '../../registry/mirror/fetch/blob-peers.ts'
import type { AccessParts } from './access.ts'
import { hasDht, type Base } from './base.ts'
import type { Network } from './network.ts'
import { part, type Part } from './part.ts'
import type { Storage } from './storage.ts'

/** What appliances tell each other of the blobs that they have */
export interface Sharing {
  /** How a mirror finds and fetches blobs that connected appliances have */
  peers: BlobPeersComponents
  /** What they are told */
  knownDigests: KnownDigests
  parts: Part[]
}

export function buildSharing({
  audience,
  blockstore,
  config,
  index,
  knowsPeer,
  log,
  node,
  pullerOf,
}: Base & AccessParts & Storage & Network): Sharing {
  const knownDigests = new KnownDigests({ blockstore, index, withheld: index.history, puller: pullerOf })
  const digests = new Digests({ node, answers: knownDigests, log: log.child({ module: 'digests' }) })
  const peers = {
    questions: digests,
    blocks: new PeerBlocks({ node }),
    isPublic: (repository: string) => audience().mayPull(repository),
    providers: hasDht(config) ? new DigestProviders({ node, log }) : undefined,
    // on the public network, most connected peers are strangers, who need not know what is wanted here
    mayAsk: (peer: string) => config.network !== 'public' || node.isConfigured(peer) || knowsPeer(peer),
    log: log.child({ module: 'mirror' }),
  }
  return { peers, knownDigests, parts: [part('digests of peers', digests)] }
}
