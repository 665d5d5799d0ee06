import { LevelDatastore } from 'datastore-level'
import type { Digest } from '../oci/digest.ts'
import { everything, type Page } from '../oci/pagination.ts'
import { BlockOwners } from './block-owners.ts'
import { translateOpenError } from './errors.ts'
import type { EventRecord } from './events.ts'
import type {
  BlobRecord,
  CachedRecord,
  ConditionRecord,
  FetchRecord,
  Index,
  IndexChange,
  IndexListener,
  LinkRecord,
  ManifestRecord,
  MirroredRecord,
  MirroredTagRecord,
  PublishedRecord,
  TagRecord,
  UploadRecord,
} from './index.ts'
import type { PulledRecord, PullsRecord } from './pulls.ts'
import { decodeValue } from './json-value.ts'
import { keys, prefixes, within } from './keys.ts'
import { LevelHistory } from './level-history.ts'
import { LevelIndexChange } from './level-index-change.ts'
import { scan, scanJson, scanKeys, type Level } from './level-scan.ts'
import { LevelSnapshot } from './level-snapshot.ts'
import { RecordCache } from './record-cache.ts'
import { IndexWriter } from './index-writer.ts'

/** The index in a LevelDB */
export class LevelIndex implements Index {
  readonly #store: LevelDatastore
  readonly #writer: IndexWriter
  readonly #cache = new RecordCache()
  readonly #owners: BlockOwners
  #listener: IndexListener | undefined
  readonly history: LevelHistory

  /** @param store a path, or a store with the same interface as Level, such as memory-level */
  constructor(store: ConstructorParameters<typeof LevelDatastore>[0]) {
    this.#store = new LevelDatastore(store)
    this.#writer = new IndexWriter(this.#store.db, typeof store === 'string' ? store : undefined)
    this.#owners = new BlockOwners({ db: this.#store.db, records: this })
    this.history = new LevelHistory(this.#store.db, this.#writer, this.#owners)
  }

  /** @throws IndexError INDEX_LOCKED or INDEX_DAMAGED */
  async open(): Promise<void> {
    try {
      // the datastore's own open() would hide LevelDB's error code
      await this.#db.open({ createIfMissing: true })
    } catch (err) {
      throw translateOpenError(err)
    }
  }

  async close(): Promise<void> {
    await this.#store.close()
  }

  async blob(digest: Digest): Promise<BlobRecord | undefined> {
    return await this.#getOften(keys.blob(digest))
  }

  async *blobs(): AsyncGenerator<{ digest: Digest; record: BlobRecord }> {
    for await (const [digest, record] of this.#scan<BlobRecord>(prefixes.blobs(), everything)) {
      yield { digest: digest as Digest, record }
    }
  }

  async isLinked(repository: string, digest: Digest): Promise<boolean> {
    return (await this.link(repository, digest)) !== undefined
  }

  async link(repository: string, digest: Digest): Promise<LinkRecord | undefined> {
    return await this.#getOften(keys.link(repository, digest))
  }

  async *links(): AsyncGenerator<{ repository: string; digest: Digest; record: LinkRecord }> {
    for await (const [link, record] of this.#scan<LinkRecord>(prefixes.links(), everything)) {
      const colon = link.indexOf(':')
      yield { repository: link.slice(0, colon), digest: link.slice(colon + 1) as Digest, record }
    }
  }

  async manifest(repository: string, digest: Digest): Promise<ManifestRecord | undefined> {
    return await this.#getOften(keys.manifest(repository, digest))
  }

  async *manifests(repository: string): AsyncGenerator<{ digest: Digest; record: ManifestRecord }> {
    for await (const [digest, record] of this.#scan<ManifestRecord>(prefixes.manifests(repository), everything)) {
      yield { digest: digest as Digest, record }
    }
  }

  async tag(repository: string, tag: string): Promise<TagRecord | undefined> {
    return await this.#getOften(keys.tag(repository, tag))
  }

  async *tags(repository: string, page: Page): AsyncGenerator<{ tag: string; record: TagRecord }> {
    for await (const [tag, record] of this.#scan<TagRecord>(prefixes.tags(repository), page)) {
      yield { tag, record }
    }
  }

  async hasLinks(repository: string): Promise<boolean> {
    await this.#writer.available
    return (await this.#db.keys({ ...within(prefixes.linksOf(repository)), limit: 1 }).all()).length > 0
  }

  async hasRepository(repository: string): Promise<boolean> {
    return (await this.#getOften(keys.repository(repository))) !== undefined
  }

  async *repositories(page: Page): AsyncGenerator<string> {
    for await (const [repository] of this.#scan(prefixes.repositories(), page)) {
      yield repository
    }
  }

  async *referrers(repository: string, subject: Digest, page: Page): ReturnType<Index['referrers']> {
    await this.#writer.available
    for await (const [digest, json] of scanJson(this.#db, prefixes.referrers(repository, subject), page)) {
      yield { digest: digest as Digest, json }
    }
  }

  async pulls(): Promise<PullsRecord | undefined> {
    return await this.#get(keys.pulls())
  }

  async *pulled(repository: string): AsyncGenerator<{ digest: Digest; record: PulledRecord }> {
    for await (const [digest, record] of this.#scan<PulledRecord>(prefixes.pulled(repository), everything)) {
      yield { digest: digest as Digest, record }
    }
  }

  async published(): Promise<PublishedRecord | undefined> {
    return await this.#get(keys.published())
  }

  async condition(): Promise<ConditionRecord | undefined> {
    return await this.#get(keys.condition())
  }

  async isEmpty(): Promise<boolean> {
    return (await this.#db.keys({ limit: 1 }).all()).length === 0
  }

  async *cached(): AsyncGenerator<{ root: string; record: CachedRecord }> {
    for await (const [root, record] of this.#scan<CachedRecord>(prefixes.cached(), everything)) {
      yield { root, record }
    }
  }

  async upload(id: string): Promise<UploadRecord | undefined> {
    return await this.#get(keys.upload(id))
  }

  async uploadLeaves(id: string): Promise<string[]> {
    const segments = await Array.fromAsync(this.#scan<string[]>(prefixes.uploadLeaves(id), everything))
    return segments.flatMap(([, leaves]) => leaves)
  }

  async *uploads(): AsyncGenerator<{ id: string; record: UploadRecord }> {
    for await (const [id, record] of this.#scan<UploadRecord>(prefixes.uploads(), everything)) {
      yield { id, record }
    }
  }

  async fetch(id: string): Promise<FetchRecord | undefined> {
    return await this.#get(keys.fetch(id))
  }

  async *fetchLeaves(id: string): AsyncGenerator<{ position: number; hashes: Uint8Array }> {
    await this.#writer.available
    const prefix = prefixes.fetchLeaves(id)
    for await (const [key, hashes] of this.#db.iterator(within(prefix))) {
      yield { position: Number(key.slice(prefix.length)), hashes }
    }
  }

  async *fetches(): AsyncGenerator<{ id: string; record: FetchRecord }> {
    for await (const [id, record] of this.#scan<FetchRecord>(prefixes.fetches(), everything)) {
      yield { id, record }
    }
  }

  async mirrored(repository: string, digest: Digest): Promise<MirroredRecord | undefined> {
    return await this.#getOften(keys.mirrored(repository, digest))
  }

  async mirroredTag(repository: string, tag: string): Promise<MirroredTagRecord | undefined> {
    return await this.#getOften(keys.mirroredTag(repository, tag))
  }

  async event(id: string): Promise<EventRecord | undefined> {
    return await this.#get(keys.event(id))
  }

  async *events(page: Page): AsyncGenerator<{ id: string; record: EventRecord }> {
    for await (const [id, record] of this.#scan<EventRecord>(prefixes.events(), page)) {
      yield { id, record }
    }
  }

  async *waitingEvents(webhook: string, page: Page): AsyncGenerator<string> {
    yield* this.#items(prefixes.waitingEventsOf(webhook), page)
  }

  async isEventWaiting(webhook: string, id: string): Promise<boolean> {
    return await this.#has(keys.waitingEvent(webhook, id))
  }

  async *allWaitingEvents(): AsyncGenerator<{ webhook: string; id: string }> {
    for await (const item of this.#items(prefixes.waitingEvents(), everything)) {
      const [webhook = '', id = ''] = item.split(':')
      yield { webhook, id }
    }
  }

  async hasBlobBlocks(digest: Digest): Promise<boolean> {
    return await this.#has(keys.blobBlocks(digest))
  }

  async hasManifestBlocks(repository: string, digest: Digest): Promise<boolean> {
    return await this.#has(keys.manifestBlocks(repository, digest))
  }

  async isOwned(...args: Parameters<Index['isOwned']>): Promise<boolean> {
    await this.#writer.available
    return await this.#owners.isOwned(...args)
  }

  async isBlobOwned(...args: Parameters<Index['isBlobOwned']>): Promise<boolean> {
    await this.#writer.available
    return await this.#owners.isBlobOwned(...args)
  }

  async *manifestsWith(hash: Uint8Array): AsyncGenerator<{ repository: string; digest: Digest }> {
    await this.#writer.available
    yield* this.#owners.manifestsWith(hash)
  }

  /** The number of blobs in all repositories, counted by scanning their keys */
  async countBlobs(): Promise<number> {
    let count = 0
    for await (const _ of this.#db.keys(within(prefixes.blobs()))) {
      count++
    }
    return count
  }

  snapshot(): LevelSnapshot {
    return new LevelSnapshot(this.#db)
  }

  change(): IndexChange {
    return new LevelIndexChange(this.#db, this.#writer, this.#cache, this.history, () => this.#listener)
  }

  listen(listener: IndexListener | undefined): void {
    this.#listener = listener
  }

  get #db(): Level {
    return this.#store.db
  }

  async #get<T>(key: string): Promise<T | undefined> {
    await this.#writer.available
    const value = await this.#db.get(key)
    return value === undefined ? undefined : decodeValue<T>(value)
  }

  async #has(key: string): Promise<boolean> {
    await this.#writer.available
    return await this.#db.has(key)
  }

  /** As #get, through the cache: for records that requests read often */
  async #getOften<T extends object>(key: string): Promise<T | undefined> {
    return await this.#cache.get<T>(key, async () => await this.#get(key))
  }

  /** Yields each key without the prefix, where there is no value or none is wanted */
  async *#items(prefix: string, page: Page): AsyncGenerator<string> {
    await this.#writer.available
    yield* scanKeys(this.#db, prefix, page)
  }

  /** Yields each key without the prefix, and its value */
  async *#scan<T>(prefix: string, page: Page): AsyncGenerator<[string, T]> {
    await this.#writer.available
    yield* scan<T>(this.#db, prefix, page)
  }
}
