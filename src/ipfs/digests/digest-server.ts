import { setTimeout as sleep } from 'node:timers/promises'
import { lpStream } from '@libp2p/utils'
import type { Connection, Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { Allowance } from '../../scheduling/allowance.ts'
import { hashBytes } from '../dag/encode-node.ts'
import {
  decodeQuestion,
  digestProtocol,
  encodedUnknown,
  encodeNews,
  maxHashes,
  maxQuestionBytes,
  type DigestNews,
  type LeafRun,
} from './digest-messages.ts'
import { DigestProtocolError } from './errors.ts'

const second = 1000
/** For the question, and for each message that the peer has to read */
const timeout = 10 * second
/**
 * Between two messages to a peer, so that news are told together: the longer, the more are answered at a time, so that
 * all together cost this node and those that read them only so much. Milliseconds
 */
const pause = { least: 20, perStream: 10, most: 500 }
/** Without news for so long, a message says that this node lives; the multiplexer ends streams that are silent */
const heartbeat = 30 * second

/** What is known of a digest */
export interface DigestAnswer {
  /** Bytes of the blob */
  size: number
  /**
   * What is here now, at once and be it nothing; then what is new as it comes, until the blob is whole or is given up.
   * Each part holds what came since the one before.
   */
  news: (options: { signal: AbortSignal }) => AsyncIterable<Omit<DigestNews, 'size'>>
}

/** Knows what is here of a digest, whole or in part */
export interface DigestAnswers {
  /**
   * @param peer that asks: it is told of nothing that it may not pull
   * @returns undefined where nothing is here, or nothing that the peer may know of; both take the same time
   */
  answer: (peer: string, digest: Digest, options: { signal: AbortSignal }) => Promise<DigestAnswer | undefined>
}

/** What one peer, and all together, may ask for */
export interface DigestServerLimits {
  streamsPerPeer: number
  streams: number
  /** Of one peer within a second */
  questions: number
}

const defaultLimits: DigestServerLimits = { streamsPerPeer: 128, streams: 2048, questions: 100 }

export interface DigestServerComponents {
  libp2p: Pick<Libp2p, 'handle' | 'unhandle'>
  answers: DigestAnswers
  log: Logger
}

/** Tells peers what is here of a digest, by the protocol of digest-messages.ts */
export class DigestServer {
  readonly #components: DigestServerComponents
  readonly #limits: DigestServerLimits
  readonly #questions: Allowance
  readonly #stopped = new AbortController()
  /** Streams that are answered, by peer */
  readonly #streams = new Map<string, number>()
  #total = 0

  constructor(components: DigestServerComponents, limits: Partial<DigestServerLimits> = {}) {
    this.#components = components
    this.#limits = { ...defaultLimits, ...limits }
    this.#questions = new Allowance({ amount: this.#limits.questions, period: second })
  }

  /** Streams that are open now */
  get streams(): number {
    return this.#total
  }

  get #pause(): number {
    const { least, most, perStream } = pause
    return Math.min(most, Math.max(least, perStream * this.#total))
  }

  async start(): Promise<void> {
    const { streamsPerPeer } = this.#limits
    await this.#components.libp2p.handle(
      digestProtocol,
      async (stream, connection) => {
        await this.#receive(stream, connection)
      },
      { maxInboundStreams: streamsPerPeer, maxOutboundStreams: streamsPerPeer },
    )
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error('the node stops'))
    await this.#components.libp2p.unhandle(digestProtocol)
  }

  async #receive(stream: Stream, connection: Connection): Promise<void> {
    const peer = connection.remotePeer.toString()
    const closed = new AbortController()
    const onClose = (): void => {
      closed.abort(new Error('the peer has closed the stream'))
    }
    const signal = AbortSignal.any([this.#stopped.signal, closed.signal])
    stream.addEventListener('close', onClose)
    this.#streams.set(peer, (this.#streams.get(peer) ?? 0) + 1)
    this.#total++
    try {
      this.#requireFew(peer)
      await this.#answer(stream, peer, signal)
    } catch (err) {
      stream.abort(err as Error)
      this.#components.log.debug('a question for a digest ended', { peer, reason: String(err) })
    } finally {
      stream.removeEventListener('close', onClose)
      this.#total--
      const left = this.#streams.get(peer)! - 1
      if (left === 0) {
        this.#streams.delete(peer)
      } else {
        this.#streams.set(peer, left)
      }
    }
  }

  #requireFew(peer: string): void {
    if (this.#streams.get(peer)! > this.#limits.streamsPerPeer || this.#total > this.#limits.streams) {
      throw new DigestProtocolError('too many questions at a time')
    }
    if (this.#questions.wait(peer) > 0) {
      throw new DigestProtocolError('too many questions within a second')
    }
    this.#questions.take(peer, 1)
  }

  async #answer(stream: Stream, peer: string, signal: AbortSignal): Promise<void> {
    const messages = lpStream(stream, { maxDataLength: maxQuestionBytes, maxBufferSize: 2 * maxQuestionBytes })
    const within = (): { signal: AbortSignal } => ({ signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]) })
    const digest = decodeQuestion((await messages.read(within())).subarray())
    const answer = await this.#components.answers.answer(peer, digest, { signal })
    if (answer === undefined) {
      await messages.write(encodedUnknown, within())
    } else {
      for await (const news of withHeartbeat(answer, signal)) {
        for (const part of partsOf(news)) {
          await messages.write(encodeNews(part), within())
          await sleep(this.#pause, undefined, { signal })
        }
      }
    }
    await stream.close(within())
  }
}

/** Adds empty news where there are none for long */
async function* withHeartbeat({ news, size }: DigestAnswer, signal: AbortSignal): AsyncGenerator<DigestNews> {
  const parts = news({ signal })[Symbol.asyncIterator]()
  try {
    for (let next = parts.next(); ; ) {
      const timer = new AbortController()
      const beat = sleep(heartbeat, undefined, { signal: timer.signal, ref: false }).catch(() => undefined)
      const result = await Promise.race([next, beat]).finally(() => {
        timer.abort()
      })
      if (result === undefined) {
        yield { size, leaves: [] }
        continue
      }
      if (result.done === true) {
        return
      }
      yield { size, ...result.value }
      next = parts.next()
    }
  } finally {
    await parts.return?.()
  }
}

/** Divides news with more hashes than a message has room for; the root comes with the last of them */
function* partsOf({ claims, leaves, root, size }: DigestNews): Generator<DigestNews> {
  let part: LeafRun[] = []
  let room = maxHashes
  for (const { first, hashes } of leaves) {
    for (let at = 0; at < hashes.byteLength; ) {
      const end = Math.min(hashes.byteLength, at + room * hashBytes)
      part.push({ first: first + at / hashBytes, hashes: hashes.subarray(at, end) })
      room -= (end - at) / hashBytes
      at = end
      if (room === 0) {
        yield { size, leaves: part }
        part = []
        room = maxHashes
      }
    }
  }
  yield { size, leaves: part, claims, root }
}
