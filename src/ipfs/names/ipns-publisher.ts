/**
 * Publishes our own IPNS name: one key, and the value that it points to.
 *
 * The library @helia/ipns could do this, but raises the sequence number with each try and each hour, and starts at 1
 * again when the last record has expired. Here the number rises only with a new value, and is never lost.
 */
import { IPNSEntry } from '@helia/ipns'
import type { Logger } from '../../log.ts'
import type { NetworkProfile } from '../node/libp2p.ts'
import type { IpfsNode } from '../node/node.ts'
import { OwnIpnsRecord, type IpnsDatastore } from './own-ipns-record.ts'

export interface IpnsPublisherComponents {
  /** Must be started before {@link IpnsPublisher.start} is called */
  node: Pick<IpfsNode, 'helia' | 'libp2p'>
  datastore: IpnsDatastore
  /** Whether peers may be told to what our name points; @default they may */
  isPublic?: (() => boolean) | undefined
  log: Logger
}

export interface IpnsPublisherInit {
  /** With `offline` and `lan` there is no DHT to publish a record in */
  network: NetworkProfile
  /** Time between two times that the record is sent to the DHT; milliseconds */
  republish: number
  /**
   * How long others may keep what the name points to; milliseconds
   *
   * @default 1 minute
   */
  ttl?: number
}

/** How our own name is */
export interface OwnName {
  /** As `k51...` */
  name: string
  /** What it points to, such as `/ipfs/<cid>` */
  value: string
  /** ISO 8601 */
  signed: string
  validUntil: string
  /** When the record was sent to the DHT last, and to how many peers; absent: not since the start */
  sent?: { time: string; peers: number } | undefined
}

const second = 1000
const minute = 60 * second
const putTimeout = 2 * minute
const checkTimeout = 15 * second
const minRetry = 2 * second
const maxRetry = minute
/** How long the DHT takes to learn of a new peer */
const settleTime = second

export class IpnsPublisher {
  readonly #components: IpnsPublisherComponents
  readonly #init: IpnsPublisherInit
  readonly #ttl: number
  readonly #record: OwnIpnsRecord
  #controller: AbortController | undefined
  #running: Promise<void> | undefined
  /** Ends the wait before the record is sent again */
  #wake: () => void = () => {}
  /** Whether peers were asked for a newer record since the start */
  #checked = false
  #sent: OwnName['sent']

  constructor(components: IpnsPublisherComponents, init: IpnsPublisherInit) {
    this.#components = components
    this.#init = init
    this.#ttl = init.ttl ?? minute
    this.#record = new OwnIpnsRecord(components, { ttl: this.#ttl })
  }

  async start(): Promise<void> {
    if (this.#controller === undefined && (this.#init.network === 'private' || this.#init.network === 'public')) {
      this.#controller = new AbortController()
      this.#running = this.#run(this.#controller.signal)
    }
  }

  async stop(): Promise<void> {
    this.#controller?.abort(new Error('The server stops'))
    this.#controller = undefined
    this.#wake()
    await this.#running
    await this.#record.settled()
  }

  async name(): Promise<string> {
    return (await this.#record.key()).name
  }

  /**
   * @param name any IPNS name
   * @returns what the name points to if it is ours, with its TTL in seconds; undefined for other names, and before the
   *   first publish
   */
  async own(name: string): Promise<{ value: string; ttl: number } | undefined> {
    const record = (await this.name()) === name ? await this.#record.read() : undefined
    return record === undefined ? undefined : { value: record.value, ttl: Math.floor(this.#ttl / second) }
  }

  /** @returns undefined before the first publish */
  async status(): Promise<OwnName | undefined> {
    const record = await this.#record.read()
    return (
      record && {
        name: await this.name(),
        value: record.value,
        signed: new Date(OwnIpnsRecord.signedAt(record)).toISOString(),
        validUntil: new Date(record.validUntil).toISOString(),
        sent: this.#sent,
      }
    )
  }

  /** Points our name at a path. Returns once the record is in the datastore; peers get it in the background. */
  async publish(value: string): Promise<{ name: string; sequence: number }> {
    const { name } = await this.#record.key()
    const sequence = await this.#record.change(value)
    this.#wake()
    return { name, sequence: Number(sequence) }
  }

  /** Sends the record to the DHT again and again, and sooner where no peer took it */
  async #run(signal: AbortSignal): Promise<void> {
    let retry = minRetry
    while (!signal.aborted) {
      const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
      this.#wake = wake
      const peers = await this.#send(signal)
      const delay = peers === 0 ? retry : this.#init.republish
      retry = peers === 0 ? Math.min(2 * retry, maxRetry) : minRetry
      const timer = setTimeout(wake, delay)
      const onPeer = (): void => {
        setTimeout(wake, settleTime).unref()
      }
      const { libp2p } = this.#components.node
      if (peers === 0) {
        libp2p?.addEventListener('peer:identify', onPeer, { once: true })
      }
      await woken
      clearTimeout(timer)
      libp2p?.removeEventListener('peer:identify', onPeer)
    }
  }

  /** @returns how many peers took the record; undefined where nothing was published yet */
  async #send(signal: AbortSignal): Promise<number | undefined> {
    let peers = 0
    const onProgress = (event: { type: string; detail?: unknown }): void => {
      if (
        event.type === 'kad-dht:query:peer-response' &&
        (event.detail as { messageName?: string }).messageName === 'PUT_VALUE'
      ) {
        peers++
      }
    }
    try {
      const { name, routingKey } = await this.#record.key()
      if (this.#components.isPublic?.() === false || !(await this.#overtake(routingKey, signal))) {
        return 0
      }
      const record = await this.#record.fresh(this.#init.republish / 2)
      if (record === undefined) {
        return undefined
      }
      await this.#components.node.helia.routing.put(routingKey, record.bytes, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(putTimeout)]),
        onProgress,
      })
      this.#sent = { time: new Date().toISOString(), peers }
      this.#components.log.debug('IPNS record published', { name, sequence: record.sequence, peers })
    } catch (err) {
      this.#components.log.debug('IPNS record not published', { peers, err })
    }
    return peers
  }

  /**
   * Raises the sequence number above that of the newest record in the DHT. A data directory restored from a backup has
   * an older number, with which its records would be ignored.
   *
   * @returns whether a peer answered
   */
  async #overtake(routingKey: Uint8Array, signal: AbortSignal): Promise<boolean> {
    if (this.#checked) {
      return true
    }
    const limit = AbortSignal.any([signal, AbortSignal.timeout(checkTimeout)])
    const found = await Promise.all(
      dhtsOf(this.#components.node).map(async dht => await askDht(dht, routingKey, limit)),
    )
    const newest = found.flatMap(({ sequences }) => sequences).sort((a, b) => (a < b ? 1 : -1))[0] ?? 0n
    await this.#record.overtake(newest)
    this.#checked = found.some(({ answered }) => answered)
    return this.#checked
  }
}

interface Dht {
  get: (key: Uint8Array, options: { signal: AbortSignal }) => AsyncIterable<{ name: string; value?: Uint8Array }>
}

function dhtsOf({ libp2p }: Pick<IpfsNode, 'libp2p'>): Dht[] {
  return Object.values(libp2p?.services ?? {}).filter(
    (service): service is Dht => typeof (service as Partial<Dht>).get === 'function',
  )
}

/**
 * Asks one DHT by itself. Helia would return the first answer of all of them, which may be the record that this node
 * put there.
 */
async function askDht(
  dht: Dht,
  routingKey: Uint8Array,
  signal: AbortSignal,
): Promise<{ answered: boolean; sequences: bigint[] }> {
  const sequences: bigint[] = []
  let answered = false
  try {
    for await (const { name, value } of dht.get(routingKey, { signal })) {
      answered ||= name === 'PEER_RESPONSE'
      if (name === 'VALUE' && value !== undefined) {
        sequences.push(IPNSEntry.decode(value).sequence ?? 0n)
      }
    }
  } catch {
    // the DHT has no peers, or could not correct one of them; the records that came before count
  }
  return { answered, sequences }
}
