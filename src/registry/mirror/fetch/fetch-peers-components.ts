import type { LeafRange } from '../../../ipfs/digests/digest-messages.ts'
import type { Logger } from '../../../log.ts'
import type { BlobPeers } from './blob-peers.ts'
import type { FetchedLeaves } from './fetched-leaves.ts'

/** What a fetch from peers works with */
export interface FetchPeersComponents {
  leaves: FetchedLeaves
  repositories: ReadonlySet<string>
  peers: BlobPeers
  upstream: {
    /** What it delivers soon */
    coming: () => LeafRange[]
    /** Milliseconds that it needs for a leaf; undefined: not known, or it delivers nothing */
    leafTime: () => number | undefined
    /** How long a leaf may take that another appliance fetches there; milliseconds */
    patience: () => number
    /** Told what another appliance fetches there */
    claimed: (peer: string, claims: readonly LeafRange[]) => void
    /** Whether it delivers nothing, so that peers need not be quick */
    hasFailed: () => boolean
  }
  /** Called when what is to be fetched may have changed */
  onProgress: () => void
  /** Called where leaves can't be stored */
  onFull: (err: unknown) => void
  log: Logger
}
