import { createIPNSRecord, IPNSEntry, multihashToIPNSRoutingKey } from '@helia/ipns'
import type { Helia } from 'helia'
import { Key } from 'interface-datastore'
import { base36 } from 'multiformats/bases/base36'
import type { IpfsNode } from '../node/node.ts'

export interface IpnsDatastore {
  get: (key: Key) => Promise<Uint8Array> | Uint8Array
  put: (key: Key, value: Uint8Array) => Promise<Key> | Key
}

export interface OwnIpnsRecordComponents {
  /** Its keychain has the key */
  node: Pick<IpfsNode, 'helia'>
  datastore: IpnsDatastore
}

export interface OwnIpnsRecordInit {
  /** How long others may keep what the name points to; milliseconds */
  ttl: number
}

type PrivateKey = Awaited<ReturnType<Helia['keychain']['exportKey']>>

interface OwnKey {
  key: PrivateKey
  /** As `k51...` */
  name: string
  /** Under which the DHT keeps the record */
  routingKey: Uint8Array
}

interface OwnRecord {
  bytes: Uint8Array
  value: string
  sequence: bigint
  /** Milliseconds since 1970 */
  validUntil: number
}

/** How long a record is valid: as long as peers keep it; milliseconds */
const lifetime = 48 * 60 * 60_000
/** The name of our key in the keychain */
const keyName = 'registry'
const recordKey = new Key('/ipdr/ipns/registry')

/** The key of our own name, and its last record, which stays in the datastore even when it has expired */
export class OwnIpnsRecord {
  readonly #components: OwnIpnsRecordComponents
  readonly #ttl: number
  #key: Promise<OwnKey> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(components: OwnIpnsRecordComponents, init: OwnIpnsRecordInit) {
    this.#components = components
    this.#ttl = init.ttl
  }

  /** Our key; the first call makes it */
  async key(): Promise<OwnKey> {
    this.#key ??= this.#loadKey().catch((err: unknown) => {
      this.#key = undefined
      throw err
    })
    return await this.#key
  }

  /** @returns when a record was signed; milliseconds since 1970 */
  static signedAt({ validUntil }: Pick<OwnRecord, 'validUntil'>): number {
    return validUntil - lifetime
  }

  /** @returns undefined before the first {@link change} */
  async read(): Promise<OwnRecord | undefined> {
    try {
      const bytes = await this.#components.datastore.get(recordKey)
      const { value, sequence, validity } = IPNSEntry.decode(bytes)
      const decoder = new TextDecoder()
      return {
        bytes,
        value: decoder.decode(value),
        sequence: sequence ?? 0n,
        validUntil: Date.parse(decoder.decode(validity)),
      }
    } catch (err) {
      if ((err as Error).name === 'NotFoundError') {
        return undefined
      }
      throw err
    }
  }

  /** @returns the sequence number of the value, which rises only where it is a new one */
  async change(value: string): Promise<bigint> {
    return await this.#exclusive(async () => {
      const last = await this.read()
      if (last?.value === value) {
        return last.sequence
      }
      const next = (last?.sequence ?? 0n) + 1n
      await this.#sign(value, next)
      return next
    })
  }

  /** Raises the sequence number above `newest`, the one that others have seen */
  async overtake(newest: bigint): Promise<void> {
    await this.#exclusive(async () => {
      const record = await this.read()
      if (record !== undefined && newest > record.sequence) {
        await this.#sign(record.value, newest + 1n)
      }
    })
  }

  /** @returns the record, signed again where more than `maxAge` milliseconds of its validity have passed */
  async fresh(maxAge: number): Promise<OwnRecord | undefined> {
    return await this.#exclusive(async () => {
      const record = await this.read()
      if (record === undefined || record.validUntil - Date.now() > lifetime - maxAge) {
        return record
      }
      await this.#sign(record.value, record.sequence)
      return await this.read()
    })
  }

  /** Resolves when the changes that have begun have ended */
  async settled(): Promise<void> {
    await this.#last.catch(() => {})
  }

  async #sign(value: string, sequence: bigint): Promise<void> {
    const { key } = await this.key()
    const entry = await createIPNSRecord(key, value, sequence, lifetime, {
      ttlNs: BigInt(Math.round(this.#ttl)) * 1_000_000n,
    })
    await this.#components.datastore.put(recordKey, IPNSEntry.encode(entry))
  }

  async #loadKey(): Promise<OwnKey> {
    const { keychain } = this.#components.node.helia
    const key = await keychain.exportKey(keyName).catch(async (err: unknown) => {
      if ((err as Error).name !== 'NotFoundError') {
        throw err
      }
      return await keychain.generateKey(keyName)
    })
    const { publicKey } = key
    return {
      key,
      name: publicKey.toCID().toString(base36),
      routingKey: multihashToIPNSRoutingKey(publicKey.toMultihash()),
    }
  }

  /** Changes the record one at a time */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work, work)
    this.#last = result.catch(() => {})
    return await result
  }
}
