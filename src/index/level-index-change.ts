import type { Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest/descriptor.ts'
import type { EventRecord } from './events.ts'
import type {
  BlobRecord,
  CachedRecord,
  ConditionRecord,
  FetchRecord,
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
import { blobOwner, BlockLists, manifestOwner } from './block-lists.ts'
import type { ChangeRecord } from './history-index.ts'
import { noValue, remembered } from './history-operations.ts'
import { decodeValue, encodeValue } from './json-value.ts'
import type { PulledRecord, PullsRecord } from './pulls.ts'
import { keys, prefixes, within } from './keys.ts'
import type { LevelHistory } from './level-history.ts'
import type { Level } from './level-scan.ts'
import type { RecordCache } from './record-cache.ts'
import type { IndexWriter, Operation } from './index-writer.ts'

/** Gathers changes to the index; {@link LevelIndexChange.commit} makes all of them or none */
export class LevelIndexChange implements IndexChange {
  readonly #db: Level
  readonly #writer: IndexWriter
  readonly #cache: RecordCache
  readonly #operations: Operation[] = []
  /** Those that no cache holds */
  readonly #uncached: Operation[] = []
  /** What the keys begin with that are deleted besides */
  readonly #ended: string[] = []
  readonly #blocks = new BlockLists()
  readonly #history: LevelHistory
  readonly #listener: () => IndexListener | undefined
  #keeps = false
  #forgets = false

  /** @param listener is asked once all is written */
  constructor(
    db: Level,
    writer: IndexWriter,
    cache: RecordCache,
    history: LevelHistory,
    listener: () => IndexListener | undefined,
  ) {
    this.#listener = listener
    this.#db = db
    this.#writer = writer
    this.#cache = cache
    this.#history = history
  }

  putBlob(digest: Digest, record: BlobRecord): this {
    this.#blocks.putRecord(blobOwner(digest), record)
    return this.#put(keys.blob(digest), record)
  }

  putBlobBlocks(digest: Digest, blocks: Uint8Array): this {
    this.#blocks.put(blobOwner(digest), blocks)
    return this
  }

  deleteBlob(digest: Digest): this {
    this.#blocks.delete(blobOwner(digest))
    return this.#delete(keys.blob(digest))
  }

  putLink(repository: string, digest: Digest): this {
    this.putLinked(repository, digest)
    return this.#put(keys.link(repository, digest), { updated: new Date().toISOString() } satisfies LinkRecord)
  }

  putLinked(repository: string, digest: Digest): this {
    this.#uncached.push({ type: 'put', key: keys.linked(repository, digest), value: Buffer.from(digest) })
    return this
  }

  deleteLink(repository: string, digest: Digest): this {
    this.#uncached.push({ type: 'del', key: keys.linked(repository, digest) })
    return this.#delete(keys.link(repository, digest))
  }

  putManifest(repository: string, digest: Digest, record: ManifestRecord): this {
    this.#blocks.putRecord(manifestOwner(repository, digest), record)
    return this.#put(keys.manifest(repository, digest), record)
  }

  putManifestBlocks(repository: string, digest: Digest, blocks: Uint8Array): this {
    this.#blocks.put(manifestOwner(repository, digest), blocks)
    return this
  }

  deleteManifest(repository: string, digest: Digest): this {
    this.#blocks.delete(manifestOwner(repository, digest))
    this.#uncached.push({ type: 'del', key: keys.pulled(repository, digest) })
    return this.#delete(keys.manifest(repository, digest))
  }

  putTag(repository: string, tag: string, record: TagRecord): this {
    return this.#put(keys.tag(repository, tag), record)
  }

  deleteTag(repository: string, tag: string): this {
    return this.#delete(keys.tag(repository, tag))
  }

  putReferrer(repository: string, subject: Digest, descriptor: Descriptor): this {
    return this.#put(keys.referrer(repository, subject, descriptor.digest), descriptor)
  }

  deleteReferrer(repository: string, subject: Digest, digest: Digest): this {
    return this.#delete(keys.referrer(repository, subject, digest))
  }

  putRepository(repository: string): this {
    return this.#put(keys.repository(repository), {})
  }

  deleteRepository(repository: string): this {
    return this.#delete(keys.repository(repository))
  }

  putPublished(record: PublishedRecord): this {
    return this.#put(keys.published(), record)
  }

  putCondition(record: ConditionRecord): this {
    return this.#put(keys.condition(), record)
  }

  putCached(root: string, record: CachedRecord): this {
    return this.#put(keys.cached(root), record)
  }

  deleteCached(root: string): this {
    return this.#delete(keys.cached(root))
  }

  putUpload(id: string, record: UploadRecord): this {
    return this.#put(keys.upload(id), record)
  }

  putUploadLeaves(id: string, position: number, leaves: string[]): this {
    return this.#put(keys.uploadLeaves(id, position), leaves)
  }

  deleteUpload(id: string): this {
    this.#ended.push(prefixes.uploadLeaves(id))
    return this.#delete(keys.upload(id))
  }

  putFetch(id: string, record: FetchRecord): this {
    return this.#put(keys.fetch(id), record)
  }

  putFetchLeaves(id: string, position: number, hashes: Uint8Array): this {
    this.#uncached.push({ type: 'put', key: keys.fetchLeaves(id, position), value: hashes })
    return this
  }

  deleteFetch(id: string): this {
    this.#ended.push(prefixes.fetchLeaves(id))
    return this.#delete(keys.fetch(id))
  }

  putMirrored(repository: string, digest: Digest, record: MirroredRecord): this {
    return this.#put(keys.mirrored(repository, digest), record)
  }

  deleteMirrored(repository: string, digest: Digest): this {
    return this.#delete(keys.mirrored(repository, digest))
  }

  putMirroredTag(repository: string, tag: string, record: MirroredTagRecord): this {
    return this.#put(keys.mirroredTag(repository, tag), record)
  }

  deleteMirroredTag(repository: string, tag: string): this {
    return this.#delete(keys.mirroredTag(repository, tag))
  }

  putEvent(id: string, record: EventRecord): this {
    this.#uncached.push({ type: 'put', key: keys.event(id), value: encodeValue(record) })
    return this
  }

  deleteEvent(id: string): this {
    this.#uncached.push({ type: 'del', key: keys.event(id) })
    return this
  }

  putWaitingEvent(webhook: string, id: string): this {
    this.#uncached.push({ type: 'put', key: keys.waitingEvent(webhook, id), value: noValue })
    return this
  }

  deleteWaitingEvent(webhook: string, id: string): this {
    this.#uncached.push({ type: 'del', key: keys.waitingEvent(webhook, id) })
    return this
  }

  putPulls(record: PullsRecord): this {
    return this.#put(keys.pulls(), record)
  }

  putPulled(repository: string, digest: Digest, record: PulledRecord): this {
    this.#uncached.push({ type: 'put', key: keys.pulled(repository, digest), value: encodeValue(record) })
    return this
  }

  putChange(repository: string, state: number, record: ChangeRecord): this {
    const { keeps, operations } = remembered(repository, state, record)
    this.#uncached.push(...operations)
    this.#keeps ||= keeps
    return this
  }

  deleteChange(repository: string, state: number, record: ChangeRecord): this {
    const { operations } = remembered(repository, state, record)
    this.#uncached.push(...operations.map(({ key }) => ({ type: 'del' as const, key })))
    this.#forgets = true
    return this
  }

  putOldestState(state: number, since?: string): this {
    this.#uncached.push({ type: 'put', key: keys.forgotten(), value: encodeValue({ state, since }) })
    return this
  }

  async commit({ durable }: { durable: boolean }): Promise<void> {
    await this.#writer.available
    if (this.#keeps) {
      this.#history.keeps()
    }
    const ofBlocks = await this.#blocks.operations(this.#db)
    for (const prefix of this.#ended) {
      const leaves = await this.#db.keys(within(prefix)).all()
      this.#operations.push(...leaves.map(key => ({ type: 'del' as const, key })))
    }
    await this.#cache.write(
      this.#operations.map(({ key }) => key),
      async () => {
        await this.#writer.write([...this.#operations, ...this.#uncached, ...ofBlocks], { durable })
      },
    )
    const listener = this.#listener()
    if (listener !== undefined) {
      for (const operation of this.#operations) {
        tell(listener, operation)
      }
    }
    if (this.#forgets) {
      this.#history.deleted()
    }
  }

  #put(key: string, value: unknown): this {
    this.#operations.push({ type: 'put', key, value: encodeValue(value) })
    return this
  }

  #delete(key: string): this {
    this.#operations.push({ type: 'del', key })
    return this
  }
}

function tell(listener: IndexListener, operation: Operation): void {
  const { key, type } = operation
  if (key.startsWith(prefixes.repositories())) {
    listener.repository(key.slice(prefixes.repositories().length), type === 'put')
  } else if (key.startsWith(prefixes.allTags())) {
    const [repository, tag] = key.slice(prefixes.allTags().length).split(':') as [string, string]
    listener.tag(repository, tag, operation.type === 'put' ? decodeValue<TagRecord>(operation.value) : undefined)
  }
}
