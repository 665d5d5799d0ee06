import { setMaxListeners } from 'node:events'
import { lpStream } from '@libp2p/utils'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { hashBytes, leafSize } from '../dag/encode-node.ts'
import { decodeNews, digestProtocol, encodeQuestion, maxAnswerBytes, type DigestNews } from './digest-messages.ts'
import { DigestProtocolError } from './errors.ts'

const second = 1000
/** For the stream, the question and the first message of the answer */
const answerTimeout = 30 * second
/** Between two messages; the answerer says at least every 30 s that it lives */
const silenceTimeout = 90 * second
/** A larger blob is not shared */
const maxBlobBytes = 2 ** 40
/** Bytes of messages that came and are not read yet; an answerer rests after each message */
const maxUnreadBytes = 1024 * 1024
/**
 * Bytes that an answer may have: so many for each leaf, which is told once; so many for each second, for claims that
 * come and go; and so many at once
 */
const allowed = { perLeaf: 4 * hashBytes, perSecond: 4096, atOnce: 2 * maxAnswerBytes }

type Messages = ReturnType<typeof lpStream>

export interface AskOptions {
  /** Bytes that the blob has; undefined: whatever the peer says, at most 1 TiB */
  size?: number | undefined
  signal: AbortSignal
}

/** Asks connected appliances what they have of a digest */
export interface DigestQuestions {
  /** Peer id of this node; undefined where it is offline */
  readonly self: string | undefined
  /** Peers that can be asked now */
  peers: () => string[]
  /**
   * Calls a function for each peer that can be asked from now on
   *
   * @returns ends that
   */
  onPeer: (listener: (peer: string) => void) => () => void
  /**
   * Asks one peer, and goes on until that has told everything, is gone, or the signal fires. Ends without any news
   * where the peer knows nothing of the digest.
   *
   * @throws DigestProtocolError where the peer sends what no appliance sends
   * @throws whatever libp2p throws where the peer is gone or silent
   */
  ask: (peer: string, digest: Digest, options: AskOptions) => AsyncIterable<DigestNews>
}

export interface DigestClientComponents {
  libp2p: Pick<
    Libp2p,
    | 'addEventListener'
    | 'getConnections'
    | 'getPeers'
    | 'peerId'
    | 'peerStore'
    | 'register'
    | 'removeEventListener'
    | 'unregister'
  >
  log: Logger
}

/** Asks by the protocol of digest-messages.ts */
export class DigestClient implements DigestQuestions {
  readonly #libp2p: DigestClientComponents['libp2p']
  readonly #log: Logger
  readonly #peers = new Map<string, PeerId>()
  readonly #listeners = new Set<(peer: string) => void>()
  readonly #stopped = new AbortController()
  #topology: string | undefined

  constructor({ libp2p, log }: DigestClientComponents) {
    this.#libp2p = libp2p
    this.#log = log
    setMaxListeners(0, this.#stopped.signal)
  }

  async start(): Promise<void> {
    this.#libp2p.addEventListener('peer:disconnect', this.#onDisconnect)
    this.#topology = await this.#libp2p.register(digestProtocol, {
      onConnect: peer => {
        this.#add(peer)
      },
      onDisconnect: peer => {
        this.#peers.delete(peer.toString())
      },
    })
    for (const peer of this.#libp2p.getPeers()) {
      const { protocols } = await this.#libp2p.peerStore.get(peer).catch(() => ({ protocols: [] as string[] }))
      if (protocols.includes(digestProtocol)) {
        this.#add(peer)
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the node stops'))
    this.#libp2p.removeEventListener('peer:disconnect', this.#onDisconnect)
    if (this.#topology !== undefined) {
      this.#libp2p.unregister(this.#topology)
    }
  }

  get self(): string {
    return this.#libp2p.peerId.toString()
  }

  peers(): string[] {
    return [...this.#peers.keys()]
  }

  onPeer(listener: (peer: string) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  async *ask(peer: string, digest: Digest, { signal, size }: AskOptions): AsyncGenerator<DigestNews> {
    const both = AbortSignal.any([signal, this.#stopped.signal])
    const { messages, stream } = await this.#open(peer, digest, both)
    try {
      yield* readNews(messages, size, both)
      await stream.close({ signal: both })
    } finally {
      // ends the answer where nobody wants more of it, and does nothing to a stream that is closed
      stream.abort(new Error('the answer is not needed any more'))
    }
  }

  async #open(peer: string, digest: Digest, signal: AbortSignal): Promise<{ stream: Stream; messages: Messages }> {
    const options = { signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeout)]) }
    const stream = await this.#connection(peer).newStream(digestProtocol, options)
    try {
      const messages = lpStream(stream, { maxDataLength: maxAnswerBytes, maxBufferSize: maxUnreadBytes })
      await messages.write(encodeQuestion(digest), options)
      return { stream, messages }
    } catch (err) {
      stream.abort(err as Error)
      throw err
    }
  }

  #connection(peer: string): Connection {
    const id = this.#peers.get(peer)
    const connection = id && this.#libp2p.getConnections(id).find(({ limits, status }) => isOpen(limits, status))
    if (connection === undefined) {
      throw new Error('the peer is not connected')
    }
    return connection
  }

  #add(peer: PeerId): void {
    const key = peer.toString()
    if (this.#peers.has(key) || this.#libp2p.getConnections(peer).length === 0) {
      return
    }
    this.#peers.set(key, peer)
    this.#log.debug('a peer can be asked for digests', { peer: key })
    for (const listener of this.#listeners) {
      listener(key)
    }
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    this.#peers.delete(detail.toString())
  }
}

function isOpen(limits: Connection['limits'], status: Connection['status']): boolean {
  return limits === undefined && status === 'open'
}

async function* readNews(
  messages: Messages,
  size: number | undefined,
  signal: AbortSignal,
): AsyncGenerator<DigestNews> {
  const began = performance.now()
  let expected = size
  let taken = 0
  for (let timeout = answerTimeout; ; timeout = silenceTimeout) {
    const bytes = await readMessage(messages, AbortSignal.any([signal, AbortSignal.timeout(timeout)]))
    const news = bytes && decodeNews(bytes, leafCount)
    if (news === undefined) {
      return
    }
    expected ??= news.size
    if (news.size !== expected || news.size > maxBlobBytes) {
      throw new DigestProtocolError('another size than the blob has')
    }
    taken += bytes!.byteLength
    const seconds = (performance.now() - began) / second
    if (taken > allowed.atOnce + allowed.perLeaf * leafCount(news.size) + allowed.perSecond * seconds) {
      throw new DigestProtocolError('more than there is to say of the blob')
    }
    yield news
    if (news.root !== undefined) {
      return
    }
  }
}

/** @returns undefined at the end of the stream */
async function readMessage(messages: Messages, signal: AbortSignal): Promise<Uint8Array | undefined> {
  try {
    return (await messages.read({ signal })).subarray()
  } catch (err) {
    if ((err as Error).name === 'UnexpectedEOFError') {
      return undefined
    }
    throw err
  }
}

/** A file of no bytes has one leaf, which is empty */
function leafCount(size: number): number {
  return Math.max(1, Math.ceil(size / leafSize))
}
