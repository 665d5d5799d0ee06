import { lpStream } from '@libp2p/utils'
import type { Connection, Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import type { Logger } from '../../log.ts'

/*
 * Shows the certificate of this node to the peers that it is connected with, and takes theirs. A certificate is one
 * message with its length before it; nobody answers. What it is worth is not decided here.
 */

const certificateProtocol = '/ipdr/peer-certificate/1.0.0'
const second = 1000
/** For one message, sent or received */
const timeout = 10 * second
/** Between two looks whether the certificate of this node is another one */
const period = 10 * second
const maxBytes = 4096
/** Messages that are read of one connection; after that, its peer shows nothing new */
const maxMessages = 10

export interface CertificateHolder {
  /** The certificate of this node, if it has one */
  own: (peer: string) => Promise<string | undefined>
  /** A connected peer shows a text, which may be anything of at most 4 KiB */
  show: (peer: string, text: string) => void
  /** A peer has no connection any more */
  forget: (peer: string) => void
}

export interface PeerCertificatesComponents {
  libp2p: Libp2p
  holder: CertificateHolder
  log: Logger
}

export class PeerCertificates {
  readonly #libp2p: Libp2p
  readonly #holder: CertificateHolder
  readonly #log: Logger
  /** Messages that were read of each connection */
  readonly #messages = new WeakMap<Connection, number>()
  readonly #stopped = new AbortController()
  #own: string | undefined
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined

  constructor({ holder, libp2p, log }: PeerCertificatesComponents) {
    this.#libp2p = libp2p
    this.#holder = holder
    this.#log = log
  }

  async start(): Promise<void> {
    await this.#look()
    await this.#libp2p.handle(
      certificateProtocol,
      async (stream, connection) => {
        await this.#receive(stream, connection)
      },
      { maxInboundStreams: 1, maxOutboundStreams: 1, runOnLimitedConnection: true },
    )
    this.#libp2p.addEventListener('connection:open', this.#onOpen)
    this.#libp2p.addEventListener('peer:disconnect', this.#onDisconnect)
    this.#timer = setInterval(() => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
    }, period).unref()
    this.#showToAll()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopped.abort()
    this.#libp2p.removeEventListener('connection:open', this.#onOpen)
    this.#libp2p.removeEventListener('peer:disconnect', this.#onDisconnect)
    await this.#looking
    await this.#libp2p.unhandle(certificateProtocol)
  }

  readonly #onOpen = ({ detail }: CustomEvent<Connection>): void => {
    void this.#show(detail)
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<Connection['remotePeer']>): void => {
    this.#holder.forget(detail.toString())
  }

  /** Reads the certificate of this node, and shows another one to everybody */
  async #look(): Promise<void> {
    const own = await this.#holder.own(this.#libp2p.peerId.toString())
    const isNew = own !== undefined && own !== this.#own
    this.#own = own
    if (isNew && this.#timer !== undefined) {
      this.#showToAll()
    }
  }

  #showToAll(): void {
    for (const connection of this.#libp2p.getConnections()) {
      void this.#show(connection)
    }
  }

  async #show(connection: Connection): Promise<void> {
    if (this.#own === undefined) {
      return
    }
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(timeout)])
    let stream: Stream | undefined
    try {
      stream = await connection.newStream(certificateProtocol, { signal, runOnLimitedConnection: true })
      await lpStream(stream).write(Buffer.from(this.#own), { signal })
      await stream.close({ signal })
    } catch (err) {
      // a peer that does not speak this, such as kubo, or is gone again
      stream?.abort(err as Error)
      this.#log.debug('certificate not shown', { peer: connection.remotePeer.toString(), reason: String(err) })
    }
  }

  async #receive(stream: Stream, connection: Connection): Promise<void> {
    const count = (this.#messages.get(connection) ?? 0) + 1
    this.#messages.set(connection, count)
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(timeout)])
    try {
      if (count > maxMessages) {
        throw new Error('too many certificates')
      }
      const message = await lpStream(stream, { maxDataLength: maxBytes, maxBufferSize: 2 * maxBytes }).read({ signal })
      const peer = connection.remotePeer
      if (this.#libp2p.getConnections(peer).length > 0) {
        this.#holder.show(peer.toString(), Buffer.from(message.subarray()).toString('latin1'))
      }
      await stream.close({ signal })
    } catch (err) {
      stream.abort(err as Error)
    }
  }
}
