/**
 * Fills an empty registry from a backup. First all blocks are stored and compared with their CIDs, then all manifests
 * and blobs are compared with their digests. Only then does anything get into the index. Until the end the index counts
 * as one that is being restored, and nothing is served.
 */
import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { requireBlocks } from '../../ipfs/dag/complete-dags.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import { readCarBlocks, readCarRoot, type CarSource } from '../../ipfs/car/car.ts'
import type { ContentReader, ContentStore } from '../../ipfs/content-store.ts'
import { DamagedBlockError } from '../../ipfs/errors.ts'
import type { BlobRecord, Index, IndexChange, ManifestRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { BackupRecord } from './backup-format.ts'
import { toOciError } from '../../registry/errors.ts'
import { readManifest, type LayoutManifest } from '../../registry/image/read-image.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { manifestRecord, referrerDescriptor } from '../../registry/manifest-record.ts'
import { asDamage, untrustedReader } from './untrusted-reader.ts'
import { backupRecords, backupRepositories, contentOf, keyOf, requireSize, verifiedBlob } from './read-backup.ts'

const second = 1000
/** Records that are written to the index together; a repository may have far more */
const recordsAtATime = 1000

export interface RestorerComponents {
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'has' | 'put' | 'read'>
  content: Pick<ContentStore, 'sync'>
  index: Index
  condition: IndexCondition
  links: Pick<LinkGuard, 'add'>
  /** Hears of each repository, and of the end */
  publisher: { tagged: (repository: string) => void; refresh: () => void }
  cidStore: { refresh: () => void }
  /** Records the blocks of what was restored */
  blockLists: { run: (signal: AbortSignal) => Promise<void> }
  log: Logger
}

export interface RestoreProgress {
  phase: 'blocks' | 'digests' | 'index'
  blocks: number
  bytes: number
  repositories: number
}

export interface RestoreResult {
  /** CID of the backup */
  root: string
  blocks: number
  bytes: number
  repositories: number
  tags: number
  manifests: number
  blobs: number
  seconds: number
}

export interface RestoreOptions {
  signal: AbortSignal
  onProgress?: ((progress: RestoreProgress) => void) | undefined
}

type Counts = Omit<RestoreResult, 'root' | 'seconds'>

interface Run extends RestoreOptions {
  reader: ContentReader
  root: string
  counts: Counts
  /** Keys of blobs of the backup that were compared with their digests, where the index has them as another DAG */
  verified: BlockSet
}

type ManifestLine = Extract<BackupRecord, { manifest: Digest }>

export class Restorer {
  readonly #components: RestorerComponents

  constructor(components: RestorerComponents) {
    this.#components = components
  }

  /**
   * @param source a CAR, or several in one, which has the root of the last
   * @throws OciError DENIED where the registry is not empty, REQUEST_INVALID where the backup is damaged or incomplete;
   *   nothing of it is served then
   */
  async restore(source: CarSource, options: RestoreOptions): Promise<RestoreResult> {
    const { blockstore, condition, index, log } = this.#components
    if (!condition.isRestoring && (!condition.isWhole || (await hasRepositories(index)))) {
      throw new OciError('DENIED', { detail: { reason: 'a backup can be restored only into an empty registry' } })
    }
    const began = performance.now()
    using _restoring = condition.beginRestore()
    using _blocks = blockstore.beginCollection()
    const counts: Counts = { blocks: 0, bytes: 0, repositories: 0, tags: 0, manifests: 0, blobs: 0 }
    try {
      const root = await readCarRoot(source)
      const run: Run = { ...options, root, counts, verified: new BlockSet(), reader: untrustedReader(blockstore) }
      await this.#storeBlocks(source, run)
      await asDamage(async () => {
        await requireBlocks(blockstore, root, options)
      })
      await this.#each('digests', run, async (repository, records) => {
        await this.#verify(repository, records, run)
      })
      Object.assign(counts, { repositories: 0, tags: 0, manifests: 0, blobs: 0 })
      await condition.markRestoring()
      await this.#each('index', run, async (repository, records) => {
        await this.#index(repository, records, run)
      })
      await condition.markWhole()
      await this.#components.blockLists.run(options.signal)
      this.#components.cidStore.refresh()
      this.#components.publisher.refresh()
      const result = { root, ...counts, seconds: Math.round(performance.now() - began) / second }
      log.info('backup restored', result)
      return result
    } catch (err) {
      throw explain(err)
    }
  }

  async #storeBlocks(source: CarSource, { counts, onProgress, signal }: Run): Promise<void> {
    const { blockstore, content } = this.#components
    for await (const { cid, bytes } of readCarBlocks(source)) {
      signal.throwIfAborted()
      await blockstore.put(cid, bytes, { signal })
      counts.blocks++
      counts.bytes += bytes.byteLength
      onProgress?.(progressOf(counts, 'blocks'))
    }
    await content.sync()
  }

  async #each(
    phase: RestoreProgress['phase'],
    run: Run,
    work: (repository: string, records: AsyncIterable<BackupRecord>) => Promise<void>,
  ): Promise<void> {
    for await (const { repository, directory } of backupRepositories(run.reader, run.root, run)) {
      await work(repository, backupRecords(run.reader, directory, run))
      run.counts.repositories++
      run.onProgress?.(progressOf(run.counts, phase))
    }
  }

  /** Reads everything that the records name; a blob of several repositories is read only once */
  async #verify(repository: string, records: AsyncIterable<BackupRecord>, run: Run): Promise<void> {
    for await (const record of records) {
      run.signal.throwIfAborted()
      if ('blob' in record) {
        await this.#verifyBlob(record, run)
      } else if ('manifest' in record) {
        await readRestored(repository, record, run)
      }
      count(record, run)
    }
  }

  async #index(repository: string, records: AsyncIterable<BackupRecord>, run: Run): Promise<void> {
    const { index, publisher } = this.#components
    let change = index.change()
    let changed = 0
    for await (const record of records) {
      run.signal.throwIfAborted()
      await this.#put(change, repository, record, run)
      count(record, run)
      if (++changed % recordsAtATime === 0) {
        await change.commit({ durable: false })
        change = index.change()
      }
    }
    await change.putRepository(repository).commit({ durable: true })
    publisher.tagged(repository)
  }

  async #put(change: IndexChange, repository: string, record: BackupRecord, run: Run): Promise<void> {
    if ('blob' in record) {
      const found = await this.#verifyBlob(record, run)
      // a garbage collection that is under way may have found the blob without a link, and must not delete it now
      await this.#components.links.add(record.blob, async () => {
        change.putBlob(record.blob, found).putLink(repository, record.blob)
      })
    } else if ('manifest' in record) {
      await putManifest(change, repository, record, run)
    } else {
      change.putTag(repository, record.tag, { digest: record.digest, updated: record.updated })
    }
  }

  /**
   * @returns the record of the blob. A record that was here before stays, unless the backup has the DAG that our own
   *   writer makes.
   */
  async #verifyBlob(
    { blob: digest, ...record }: { blob: Digest } & BlobRecord,
    { reader, signal, verified }: Run,
  ): Promise<BlobRecord> {
    const { index } = this.#components
    const known = await index.blob(digest)
    if (known !== undefined && (known.cid === record.cid || !verified.add(keyOf(digest, record.cid)))) {
      requireSize(digest, known, record)
      return known
    }
    const { isOurs, ...found } = await verifiedBlob(reader, digest, record, { signal })
    if (known !== undefined && !isOurs) {
      return known
    }
    // without a link, no client can pull it yet
    await index.change().putBlob(digest, found).commit({ durable: false })
    return found
  }
}

/** Reads a manifest. What its bytes say counts, whatever its record says. */
async function readRestored(
  repository: string,
  { manifest: digest, mediaType, root }: ManifestLine,
  { reader, signal }: Run,
): Promise<LayoutManifest> {
  let read: LayoutManifest | undefined
  try {
    read = await readManifest(reader, root, { digest, mediaType }, { signal })
  } catch (err) {
    if (err instanceof OciError) {
      throw new DamagedBlockError(
        `the backup has an invalid manifest ${digest} of ${repository}: ${String(err.detail?.reason ?? err.message)}`,
        { cause: err },
      )
    }
    throw err
  }
  if (read === undefined || !Number.isSafeInteger(read.found.claimedDagSize)) {
    throw new DamagedBlockError(`the backup has no image root of the manifest ${digest} of ${repository}`)
  }
  return read
}

async function putManifest(change: IndexChange, repository: string, line: ManifestLine, run: Run): Promise<void> {
  const { manifest: digest, root, updated } = line
  const { manifest, found } = await readRestored(repository, line, run)
  const content = (await run.reader.canonical(found.cid, run)) ?? contentOf(found)!
  const record: ManifestRecord = { ...manifestRecord(manifest, content), root, updated }
  change.putManifest(repository, digest, record)
  if (manifest.subject !== undefined) {
    change.putReferrer(repository, manifest.subject.digest, referrerDescriptor(manifest, { digest, size: record.size }))
  }
}

function count(record: BackupRecord, { counts }: Run): void {
  counts['blob' in record ? 'blobs' : 'manifest' in record ? 'manifests' : 'tags']++
}

async function hasRepositories(index: Index): Promise<boolean> {
  return (await Array.fromAsync(index.repositories({ limit: 1, last: undefined }))).length > 0
}

function explain(err: unknown): unknown {
  const { name, message } = err as Error
  switch (name) {
    case 'DamagedBlockError':
    case 'RefusedDagError':
    // a block has a hash function that this node does not know
    case 'UnavailableError':
      return new OciError('REQUEST_INVALID', { detail: { reason: message }, cause: err })
    case 'NotFoundError':
      return new OciError('REQUEST_INVALID', {
        detail: { reason: `the backup is incomplete: ${message}` },
        cause: err,
      })
    default:
      return toOciError(err)
  }
}

function progressOf({ blocks, bytes, repositories }: Counts, phase: RestoreProgress['phase']): RestoreProgress {
  return { phase, blocks, bytes, repositories }
}
