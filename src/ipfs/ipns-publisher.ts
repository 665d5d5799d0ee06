/**
 * Our own IPNS name: one key, one value.
 *
 * What @helia/ipns publishes, it signs anew with a higher sequence for each try and each hour, and starts at 1 again where the last record
 * has expired. Here the sequence counts values alone and is never lost: the last record lies in the datastore, expired or not.
 */
import { createIPNSRecord, IPNSEntry, multihashToIPNSRoutingKey } from '@helia/ipns'
import type { Helia } from 'helia'
import { Key } from 'interface-datastore'
import { base36 } from 'multiformats/bases/base36'
import type { Logger } from '../log.ts'
import type { NetworkProfile } from './libp2p.ts'

export interface IpnsDatastore {
  get: (key: Key) => Promise<Uint8Array> | Uint8Array
  put: (key: Key, value: Uint8Array) => Promise<Key> | Key
}

export interface IpnsPublisherComponents {
  /** Has started when {@link IpnsPublisher.start} is called */
  node: { readonly helia: Helia }
  datastore: IpnsDatastore
  /** Finds the newest record of a name in the network */
  newest: (name: string, options: { signal: AbortSignal }) => Promise<{ sequence: bigint }>
  log: Logger
}

export interface IpnsPublisherInit {
  /** `offline` and `lan` have no DHT to announce a name to */
  network: NetworkProfile
  /** Milliseconds */
  republish: number
  /** Milliseconds; @default 1 minute */
  ttl?: number
}

type PrivateKey = Awaited<ReturnType<Helia['keychain']['exportKey']>>

interface OwnKey { key: PrivateKey, name: string, routingKey: Uint8Array }
interface OwnRecord { bytes: Uint8Array, value: string, sequence: bigint, validUntil: number }

const second = 1000
const minute = 60 * second
const hour = 60 * minute
/** As long as peers keep a record */
const lifetime = 48 * hour
const putTimeout = 2 * minute
const checkTimeout = 15 * second
const minRetry = 2 * second
const maxRetry = minute

const keyName = 'registry'
const recordKey = new Key('/ipdr/ipns/registry')

export class IpnsPublisher {
  readonly #components: IpnsPublisherComponents
  readonly #init: IpnsPublisherInit
  readonly #ttl: number
  #key: Promise<OwnKey> | undefined
  #last: Promise<unknown> = Promise.resolve()
  #controller: AbortController | undefined
  #running: Promise<void> | undefined
  /** Ends the wait for the next announcement */
  #wake: () => void = () => {}
  #checked = false

  constructor (components: IpnsPublisherComponents, init: IpnsPublisherInit) {
    this.#components = components
    this.#init = init
    this.#ttl = init.ttl ?? minute
  }

  async start (): Promise<void> {
    if (this.#controller === undefined && (this.#init.network === 'private' || this.#init.network === 'public')) {
      this.#controller = new AbortController()
      this.#running = this.#run(this.#controller.signal)
    }
  }

  async stop (): Promise<void> {
    this.#controller?.abort(new Error('The server stops'))
    this.#controller = undefined
    this.#wake()
    await this.#running
    await this.#last.catch(() => {})
  }

  async name (): Promise<string> {
    return (await this.#own()).name
  }

  /** What the name points to, if it is ours and points to anything; the TTL in seconds */
  async own (name: string): Promise<{ value: string, ttl: number } | undefined> {
    const record = await this.name() === name ? await this.#record() : undefined
    return record === undefined ? undefined : { value: record.value, ttl: Math.floor(this.#ttl / second) }
  }

  async publish (value: string): Promise<{ name: string, sequence: number }> {
    const { name } = await this.#own()
    const sequence = await this.#exclusive(async () => {
      const last = await this.#record()
      if (last?.value === value) {
        return last.sequence
      }
      const next = (last?.sequence ?? 0n) + 1n
      await this.#sign(value, next)
      return next
    })
    this.#wake()
    return { name, sequence: Number(sequence) }
  }

  /** Announces the record now and then; soon again where nobody took it */
  async #run (signal: AbortSignal): Promise<void> {
    let retry = minRetry
    while (!signal.aborted) {
      const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
      this.#wake = wake
      const peers = await this.#announce(signal)
      const delay = peers === 0 ? retry : this.#init.republish
      retry = peers === 0 ? Math.min(2 * retry, maxRetry) : minRetry
      const timer = setTimeout(wake, delay)
      await woken
      clearTimeout(timer)
    }
  }

  /** @returns how many peers took the record; undefined where there is none */
  async #announce (signal: AbortSignal): Promise<number | undefined> {
    let peers = 0
    const onProgress = (event: { type: string, detail?: unknown }): void => {
      if (event.type === 'kad-dht:query:peer-response' && (event.detail as { messageName?: string }).messageName === 'PUT_VALUE') {
        peers++
      }
    }
    try {
      const { name, routingKey } = await this.#own()
      await this.#overtake(name, signal)
      const record = await this.#exclusive(async () => await this.#fresh())
      if (record === undefined) {
        return undefined
      }
      await this.#components.node.helia.routing.put(routingKey, record.bytes, { signal: AbortSignal.any([signal, AbortSignal.timeout(putTimeout)]), onProgress })
      this.#components.log.debug('name announced', { name, sequence: record.sequence, peers })
    } catch (err) {
      this.#components.log.debug('name not announced', { peers, err })
    }
    this.#checked ||= peers > 0
    return peers
  }

  /** A data directory that comes from a backup has an old sequence, and peers would refuse what we announce with it */
  async #overtake (name: string, signal: AbortSignal): Promise<void> {
    if (this.#checked) {
      return
    }
    const limit = AbortSignal.any([signal, AbortSignal.timeout(checkTimeout)])
    const newest = await this.#components.newest(name, { signal: limit }).catch(() => undefined)
    await this.#exclusive(async () => {
      const record = await this.#record()
      if (record !== undefined && newest !== undefined && newest.sequence > record.sequence) {
        await this.#sign(record.value, newest.sequence + 1n)
      }
    })
  }

  /** The record, signed anew where some of its time has passed */
  async #fresh (): Promise<OwnRecord | undefined> {
    const record = await this.#record()
    if (record === undefined || record.validUntil - Date.now() > lifetime - this.#init.republish / 2) {
      return record
    }
    await this.#sign(record.value, record.sequence)
    return await this.#record()
  }

  async #sign (value: string, sequence: bigint): Promise<void> {
    const { key } = await this.#own()
    const entry = await createIPNSRecord(key, value, sequence, lifetime, { ttlNs: BigInt(Math.round(this.#ttl)) * 1_000_000n })
    await this.#components.datastore.put(recordKey, IPNSEntry.encode(entry))
  }

  async #record (): Promise<OwnRecord | undefined> {
    try {
      const bytes = await this.#components.datastore.get(recordKey)
      const { value, sequence, validity } = IPNSEntry.decode(bytes)
      const decoder = new TextDecoder()
      return { bytes, value: decoder.decode(value), sequence: sequence ?? 0n, validUntil: Date.parse(decoder.decode(validity)) }
    } catch (err) {
      if ((err as Error).name === 'NotFoundError') {
        return undefined
      }
      throw err
    }
  }

  async #own (): Promise<OwnKey> {
    this.#key ??= this.#loadKey().catch((err: unknown) => {
      this.#key = undefined
      throw err
    })
    return await this.#key
  }

  async #loadKey (): Promise<OwnKey> {
    const { keychain } = this.#components.node.helia
    const key = await keychain.exportKey(keyName).catch(async (err: unknown) => {
      if ((err as Error).name !== 'NotFoundError') {
        throw err
      }
      return await keychain.generateKey(keyName)
    })
    const { publicKey } = key
    return { key, name: publicKey.toCID().toString(base36), routingKey: multihashToIPNSRoutingKey(publicKey.toMultihash()) }
  }

  /** One change of the record at a time */
  async #exclusive<T> (work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work)
    this.#last = result.catch(() => {})
    return await result
  }
}
