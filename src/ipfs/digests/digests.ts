/*
 * src/ipfs/digests: what appliances tell each other of a blob by its digest, while they still fetch it
 *
 *   digests.ts            both sides, as part of an appliance: begin here
 *   digest-messages.ts    what goes over the wire
 *   digest-server.ts      answers, by what DigestAnswers knows
 *   digest-client.ts      asks: DigestQuestions
 *   digest-providers.ts   finds whom to ask, by the DHT
 *
 * May import: src/ipfs/node and what comes after it. It knows nothing of rules, repositories and fetches.
 */
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import type { IpfsNode } from '../node/node.ts'
import { DigestClient, type AskOptions, type DigestQuestions } from './digest-client.ts'
import type { DigestNews } from './digest-messages.ts'
import { DigestServer, type DigestAnswers } from './digest-server.ts'

export interface DigestsComponents {
  node: Pick<IpfsNode, 'libp2p'>
  answers: DigestAnswers
  log: Logger
}

/** Asks and answers from when the node has started; a node that is offline does neither */
export class Digests implements DigestQuestions {
  readonly #components: DigestsComponents
  #client: DigestClient | undefined
  #server: DigestServer | undefined

  constructor(components: DigestsComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    const { answers, log, node } = this.#components
    const { libp2p } = node
    if (libp2p !== undefined && this.#server === undefined) {
      this.#client = new DigestClient({ libp2p, log })
      this.#server = new DigestServer({ libp2p, answers, log })
      await this.#server.start()
      await this.#client.start()
    }
  }

  async stop(): Promise<void> {
    await this.#client?.stop()
    await this.#server?.stop()
    this.#client = undefined
    this.#server = undefined
  }

  get self(): string | undefined {
    return this.#client?.self
  }

  peers(): string[] {
    return this.#client?.peers() ?? []
  }

  onPeer(listener: (peer: string) => void): () => void {
    return this.#client?.onPeer(listener) ?? (() => {})
  }

  async *ask(peer: string, digest: Digest, options: AskOptions): AsyncGenerator<DigestNews> {
    if (this.#client !== undefined) {
      yield* this.#client.ask(peer, digest, options)
    }
  }
}
