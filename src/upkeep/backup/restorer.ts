/**
 * Fills an empty registry from a backup. All blocks are stored and compared with their CIDs, then every manifest and blob below the root with
 * its digest; only then does anything get into the index, which until its end counts as one that is being restored: nothing is served of it.
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
/** Written to the index together; a repository may have far more */
const recordsAtATime = 1000

export interface RestorerComponents {
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'has' | 'put' | 'read'>
  content: Pick<ContentStore, 'sync'>
  index: Index
  condition: IndexCondition
  links: Pick<LinkGuard, 'add'>
  /** Is told of each repository, and at the end */
  publisher: { tagged: (repository: string) => void; refresh: () => void }
  cidStore: { refresh: () => void }
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
  /** Of blobs that are here as another DAG: those of the backup that are compared with their digests */
  verified: BlockSet
}

type ManifestLine = Extract<BackupRecord, { manifest: Digest }>

export class Restorer {
  readonly #components: RestorerComponents

  constructor(components: RestorerComponents) {
    this.#components = components
  }

  /**
   * @param source a CAR, or several in one, with the root of the last
   * @throws OciError DENIED where the registry is not empty, REQUEST_INVALID where the backup is damaged or not complete; nothing is served of it then
   */
  async restore(source: CarSource, options: RestoreOptions): Promise<RestoreResult> {
    const { blockstore, condition, index, log } = this.#components
    if (!condition.isRestoring && (!condition.isWhole || (await hasRepositories(index)))) {
      throw new OciError('DENIED', { detail: { reason: 'only an empty registry can be restored' } })
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
      onProgress?.({ ...counts, phase: 'blocks' })
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
      run.onProgress?.({ ...run.counts, phase })
    }
  }

  /** Reads all that the records name; a blob is read only the first time */
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
      // a collection of garbage that began before all this may have found it without a link
      await this.#components.links.add(record.blob, async () => {
        change.putBlob(record.blob, found).putLink(repository, record.blob)
      })
    } else if ('manifest' in record) {
      await putManifest(change, repository, record, run)
    } else {
      change.putTag(repository, record.tag, { digest: record.digest, updated: record.updated })
    }
  }

  /** @returns the record of it; what was here before stays, unless the backup has the DAG that our own writer makes */
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
    // without a link nobody gets it
    await index.change().putBlob(digest, found).commit({ durable: false })
    return found
  }
}

/** Reads a manifest, which is what its bytes say, whatever its record says */
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
        `the backup has as manifest ${digest} of ${repository} what is none: ${String(err.detail?.reason ?? err.message)}`,
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
    // of a hash function that nobody here knows
    case 'UnavailableError':
      return new OciError('REQUEST_INVALID', { detail: { reason: message }, cause: err })
    case 'NotFoundError':
      return new OciError('REQUEST_INVALID', {
        detail: { reason: `the backup is not complete: ${message}` },
        cause: err,
      })
    default:
      return toOciError(err)
  }
}
