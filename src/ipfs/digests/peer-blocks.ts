import type { CID } from 'multiformats/cid'
import { UnavailableError } from '../errors.ts'
import type { IpfsNode } from '../node/node.ts'

/** How long a peer may take for a block, and for the same one once more if it got lost; milliseconds */
const timeout = 10_000
const tries = 2

/** Fetches blocks from one peer that said that it has them, so that no two send the same one */
export class PeerBlocks {
  readonly #node: Pick<IpfsNode, 'createBlockSession' | 'libp2p'>

  constructor({ node }: { node: Pick<IpfsNode, 'createBlockSession' | 'libp2p'> }) {
    this.#node = node
  }

  /**
   * @returns the block, which matches its CID and is not stored here
   * @throws UnavailableError where the peer does not deliver it
   */
  async fetch(peer: string, cid: CID, { signal }: { signal: AbortSignal }): Promise<Uint8Array> {
    const provider = this.#node.libp2p?.getPeers().find(id => id.toString() === peer)
    let cause: unknown
    for (let i = 0; i < tries && provider !== undefined; i++) {
      try {
        const session = this.#node.createBlockSession({ providers: [provider.toCID()], maxProviders: 1 })
        return await session.retrieve(cid, { signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]) })
      } catch (err) {
        signal.throwIfAborted()
        cause = err
      }
    }
    throw new UnavailableError('A peer does not deliver a block that it said to have', { cause })
  }
}
