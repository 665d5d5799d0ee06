/**
 * Bounds what the DHT keeps for others, and has it provide only what may be. @libp2p/kad-dht writes every record that a
 * peer sends to the datastore, for at least two days, however many there are and as large as a message may be.
 *
 * ```
 * <prefix>/provider/<multihash>/<peer>     the peer has a block; sent by that peer alone
 * <prefix>/record/<key>                    a signed value, sent by anybody; ours are put again from time to time
 * ```
 */
import type { AbortOptions } from '@libp2p/interface'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { decode as decodeMultihash } from 'multiformats/hashes/digest'
import { Key, type Batch, type Datastore, type KeyQuery, type Pair, type Query } from 'interface-datastore'

const hour = 3_600_000

export interface DhtRecordLimits {
  providersPerPeer: number
  providers: number
  records: number
  /** Bytes of a record; an IPNS record has up to 10 KiB */
  recordBytes: number
  /** Length of a key in the datastore, in characters */
  keyLength: number
}

export const defaultDhtRecordLimits: DhtRecordLimits = {
  providersPerPeer: 1024,
  providers: 16 * 1024,
  records: 1024,
  recordBytes: 16 * 1024,
  keyLength: 512,
}

/**
 * How long a record is kept after it was sent last; milliseconds. The library deletes provider records after the same
 * time.
 */
const validity = 48 * hour

interface KeptKeysInit {
  perGroup: number
  all: number
  /** @default Date.now */
  now?: (() => number) | undefined
}

/** The keys that are kept, by their owners. Where there are too many, the owner of most keys loses the oldest. */
export class KeptKeys {
  readonly #init: KeptKeysInit
  readonly #now: () => number
  /** The keys of each owner, the oldest first, with the time when each came; milliseconds since the epoch */
  readonly #groups = new Map<string, Map<string, number>>()
  #size = 0

  constructor(init: KeptKeysInit) {
    this.#init = init
    this.#now = init.now ?? Date.now
  }

  /** @returns the keys that have to be deleted for it */
  add(group: string, key: string): string[] {
    this.delete(group, key)
    const keys = this.#groups.get(group) ?? new Map<string, number>()
    this.#groups.set(group, keys)
    keys.set(key, this.#now())
    this.#size++
    const gone = this.#expired(group, keys)
    while (keys.size > this.#init.perGroup) {
      gone.push(this.#shift(group, keys))
    }
    while (this.#size > this.#init.all) {
      gone.push(this.#shift(...this.#largest()))
    }
    return gone
  }

  delete(group: string, key: string): void {
    const keys = this.#groups.get(group)
    if (keys?.delete(key) === true) {
      this.#size--
      if (keys.size === 0) {
        this.#groups.delete(group)
      }
    }
  }

  #expired(group: string, keys: Map<string, number>): string[] {
    const gone: string[] = []
    for (const [key, came] of keys) {
      if (this.#now() - came < validity) {
        break
      }
      gone.push(key)
      this.delete(group, key)
    }
    return gone
  }

  #shift(group: string, keys: Map<string, number>): string {
    const [oldest] = keys.keys()
    this.delete(group, oldest!)
    return oldest!
  }

  #largest(): [string, Map<string, number>] {
    return [...this.#groups].reduce((largest, group) => (group[1].size > largest[1].size ? group : largest))
  }
}

export interface DhtDatastoreComponents {
  datastore: Datastore
  /** The peer ID of this node */
  peerId: { toString: () => string }
}

/** Whether a block that this node provides may still be provided */
export type MayProvide = (cid: CID) => boolean | Promise<boolean>

export interface DhtDatastoreInit extends Partial<DhtRecordLimits> {
  /** Prefix of the keys of this DHT */
  prefix: string
  /** @default all may */
  mayProvide?: MayProvide | undefined
}

/**
 * The datastore that a DHT is given. It silently does not store what exceeds the limits: to others we are a peer that
 * forgot it.
 */
export class DhtDatastore implements Datastore {
  readonly #datastore: Datastore
  readonly #self: string
  readonly #prefix: string
  readonly #limits: DhtRecordLimits
  readonly #mayProvide: MayProvide
  readonly #providers: KeptKeys
  readonly #records: KeptKeys
  #loaded: Promise<void> | undefined

  constructor(
    { datastore, peerId }: DhtDatastoreComponents,
    { prefix, mayProvide = () => true, ...limits }: DhtDatastoreInit,
  ) {
    this.#datastore = datastore
    this.#self = peerId.toString()
    this.#prefix = prefix
    this.#mayProvide = mayProvide
    this.#limits = { ...defaultDhtRecordLimits, ...limits }
    this.#providers = new KeptKeys({ perGroup: this.#limits.providersPerPeer, all: this.#limits.providers })
    this.#records = new KeptKeys({ perGroup: this.#limits.records, all: this.#limits.records })
  }

  async put(key: Key, value: Uint8Array, options?: AbortOptions): Promise<Key> {
    const text = key.toString()
    if (!this.#isOwn(text)) {
      await this.#load()
      if (text.length > this.#limits.keyLength || value.byteLength > this.#limits.recordBytes) {
        return key
      }
      await this.#deleteAll(this.#add(text), options)
    }
    return await this.#datastore.put(key, value, options)
  }

  async delete(key: Key, options?: AbortOptions): Promise<void> {
    const [kept, group] = this.#placeOf(key.toString())
    kept.delete(group, key.toString())
    await this.#datastore.delete(key, options)
  }

  get(key: Key, options?: AbortOptions): ReturnType<Datastore['get']> {
    return this.#datastore.get(key, options)
  }

  has(key: Key, options?: AbortOptions): ReturnType<Datastore['has']> {
    return this.#datastore.has(key, options)
  }

  /**
   * Leaves out our own provider records of what may not be provided any more: by this, the library finds what it tells
   * the DHT again, and answers who asks for providers. They come back where the rules allow it again.
   */
  async *query(query: Query, options?: AbortOptions): AsyncGenerator<Pair> {
    for await (const pair of this.#datastore.query(query, options)) {
      const key = pair.key.toString()
      if (!this.#isOwn(key) || (await this.#mayProvide(providedBlock(key)))) {
        yield pair
      }
    }
  }

  queryKeys(query: KeyQuery, options?: AbortOptions): ReturnType<Datastore['queryKeys']> {
    return this.#datastore.queryKeys(query, options)
  }

  async *putMany(source: AsyncIterable<Pair> | Iterable<Pair>, options?: AbortOptions): AsyncGenerator<Key> {
    for await (const { key, value } of source) {
      yield await this.put(key, value, options)
    }
  }

  getMany(source: AsyncIterable<Key> | Iterable<Key>, options?: AbortOptions): ReturnType<Datastore['getMany']> {
    return this.#datastore.getMany(source, options)
  }

  async *deleteMany(source: AsyncIterable<Key> | Iterable<Key>, options?: AbortOptions): AsyncGenerator<Key> {
    for await (const key of source) {
      await this.delete(key, options)
      yield key
    }
  }

  /** @throws Error always: the library uses no batches, and their records would not be counted */
  batch(): Batch {
    throw new Error('the DHT writes no batches')
  }

  /** Records from before the start count as if they had just come */
  async #load(): Promise<void> {
    this.#loaded ??= (async () => {
      const gone: string[] = []
      for await (const key of this.#datastore.queryKeys({ prefix: this.#prefix })) {
        gone.push(...(this.#isOwn(key.toString()) ? [] : this.#add(key.toString())))
      }
      await this.#deleteAll(gone)
    })()
    await this.#loaded
  }

  #add(key: string): string[] {
    const [kept, group] = this.#placeOf(key)
    return kept.add(group, key)
  }

  /** Signed values all have the same owner, as they don't say who sent them */
  #placeOf(key: string): [KeptKeys, group: string] {
    return key.startsWith(`${this.#prefix}/provider/`) ? [this.#providers, peerOf(key)] : [this.#records, '']
  }

  #isOwn(key: string): boolean {
    return key.startsWith(`${this.#prefix}/provider/`) && peerOf(key) === this.#self
  }

  async #deleteAll(keys: string[], options?: AbortOptions): Promise<void> {
    for (const key of keys) {
      await this.#datastore.delete(new Key(key, false), options)
    }
  }
}

/** The block of a provider record; which codec it has is not recorded */
function providedBlock(key: string): CID {
  const multihash = base32.baseDecode(key.split('/').at(-2) ?? '')
  return CID.createV1(raw.code, decodeMultihash(multihash))
}

function peerOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}
