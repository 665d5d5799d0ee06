import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { BlockOwners } from './block-owners.ts'
import type { ChangeRange, ChangeRecord, HistoryIndex, OrderedChange, RememberedChange } from './history-index.ts'
import type { IndexWriter } from './index-writer.ts'
import { decodeValue } from './json-value.ts'
import { keys, prefixes, shortKey, within } from './keys.ts'
import type { Level } from './level-scan.ts'

/** Reads the history in a LevelDB; {@link LevelIndexChange} writes it */
export class LevelHistory implements HistoryIndex {
  readonly #db: Level
  readonly #writer: Pick<IndexWriter, 'available'>
  readonly #owners: BlockOwners
  /** Whether any change keeps something; undefined: not known */
  #keeps: boolean | undefined
  /** Of the writes that may have changed it */
  #writes = 0

  constructor(db: Level, writer: Pick<IndexWriter, 'available'>, owners: BlockOwners) {
    this.#db = db
    this.#writer = writer
    this.#owners = owners
  }

  /** To be called before a change is written that keeps something */
  keeps(): void {
    this.#writes++
    this.#keeps = true
  }

  /** To be called after changes were deleted */
  deleted(): void {
    this.#writes++
    this.#keeps = undefined
  }

  async last(): Promise<number> {
    for await (const { state } of this.order({}, true)) {
      return state
    }
    return await this.oldest()
  }

  async oldest(): Promise<number> {
    return (await this.#get<{ state: number }>(keys.forgotten()))?.state ?? 0
  }

  async oldestSince(): Promise<string | undefined> {
    return (await this.#get<{ since?: string }>(keys.forgotten()))?.since
  }

  async change(repository: string, state: number): Promise<ChangeRecord | undefined> {
    return await this.#get(keys.change(repository, state))
  }

  async *changesOf(repository: string, range: ChangeRange = {}): AsyncGenerator<RememberedChange> {
    for await (const [state, record, bytes] of this.#scan<ChangeRecord>(prefixes.changes(repository), range, true)) {
      yield { state, record, bytes }
    }
  }

  async *order(range: ChangeRange = {}, newestFirst = false): AsyncGenerator<OrderedChange> {
    const changes = this.#scan<Omit<OrderedChange, 'state'>>(prefixes.changeOrder(), range, newestFirst)
    for await (const [state, change] of changes) {
      yield { state, ...change }
    }
  }

  async referrer(repository: string, subject: Digest, digest: Digest): Promise<Descriptor | undefined> {
    return await this.#get(keys.referrer(repository, subject, digest))
  }

  async manifestBlocks(repository: string, digest: Digest): Promise<Uint8Array | undefined> {
    await this.#writer.available
    return await this.#db.get(keys.manifestBlocks(repository, digest))
  }

  isWithheld(hash: Uint8Array): boolean | Promise<boolean> {
    return this.#ifKept(async () => {
      const owned = await this.#owners.ownership(hash)
      return owned === 'unlinked' || (owned === 'none' && (await this.#isKept(hash)))
    })
  }

  isBlobWithheld(digest: Digest): boolean | Promise<boolean> {
    return this.#ifKept(async () => !(await this.#owners.isBlobOwned(digest, () => true)))
  }

  #ifKept(look: () => Promise<boolean>): boolean | Promise<boolean> {
    return this.#keeps === false
      ? false
      : (async (): Promise<boolean> => {
          await this.#writer.available
          return (await this.#knowsKept()) && (await look())
        })()
  }

  async #knowsKept(): Promise<boolean> {
    if (this.#keeps === undefined) {
      const writes = this.#writes
      const found = (await this.#db.keys({ ...within(prefixes.kept()), limit: 1 }).all()).length > 0
      if (writes !== this.#writes) {
        return true
      }
      this.#keeps = found
    }
    return this.#keeps
  }

  async keepsBlob(digest: Digest, after = 0): Promise<boolean> {
    await this.#writer.available
    return await this.#isKept(digest, after)
  }

  async #isKept(hash: Uint8Array | Digest, after = 0): Promise<boolean> {
    const prefix = prefixes.keptBlock(shortKey(hash))
    const range = { gt: keys.inHistory(prefix, after), lt: within(prefix).lt }
    return (await this.#db.keys({ ...range, limit: 1 }).all()).length > 0
  }

  async #get<T>(key: string): Promise<T | undefined> {
    await this.#writer.available
    const value = await this.#db.get(key)
    return value === undefined ? undefined : decodeValue<T>(value)
  }

  async *#scan<T>(prefix: string, range: ChangeRange, reverse: boolean): AsyncGenerator<[number, T, number]> {
    await this.#writer.available
    const { gt, lt } = within(prefix)
    const limits = {
      gt: range.after === undefined ? gt : keys.inHistory(prefix, range.after),
      lt: range.before === undefined ? lt : keys.inHistory(prefix, range.before),
    }
    for await (const [key, value] of this.#db.iterator({ ...limits, reverse })) {
      yield [Number(key.slice(prefix.length)), decodeValue<T>(value), value.byteLength]
    }
  }
}
