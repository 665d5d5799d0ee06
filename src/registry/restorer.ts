/**
 * Fills an empty registry from a backup. All blocks are stored and compared with their CIDs, then every manifest and blob below the root with
 * its digest; only then does anything get into the index, which until its end counts as one that is being restored: nothing is served of it.
 */
import { requireBlocks } from '../ipfs/blocks-below.ts'
import type { DurableBlockstore } from '../ipfs/blockstore.ts'
import { readCarBlocks, readCarRoot, type CarSource } from '../ipfs/car.ts'
import type { ContentReader, ContentStore } from '../ipfs/content-store.ts'
import { DamagedBlockError } from '../ipfs/errors.ts'
import { verifiedReader } from '../ipfs/verified-reader.ts'
import type { BlobRecord, Index, IndexChange, ManifestRecord } from '../index/index.ts'
import type { Logger } from '../log.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { OciError } from '../oci/errors.ts'
import { backupRecords, backupRepositories, type BackupRecord } from './backup-format.ts'
import { toOciError } from './errors.ts'
import { readManifest } from './image-layout.ts'
import type { IndexCondition } from './index-condition.ts'
import type { LinkGuard } from './link-guard.ts'
import { manifestRecord, referrerDescriptor } from './manifest-record.ts'
import { digestOfContent } from './read-content.ts'

const second = 1000

export interface RestorerComponents {
  blockstore: Pick<DurableBlockstore, 'beginCollection' | 'has' | 'put' | 'read'>
  content: Pick<ContentStore, 'sync'>
  index: Index
  condition: IndexCondition
  links: Pick<LinkGuard, 'add'>
  /** Is told of each repository, and at the end */
  publisher: { tagged: (repository: string) => void, refresh: () => void }
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
}

export class Restorer {
  readonly #components: RestorerComponents

  constructor (components: RestorerComponents) {
    this.#components = components
  }

  /**
   * @param source a CAR, or several in one, with the root of the last
   * @throws OciError DENIED where the registry is not empty, REQUEST_INVALID where the backup is damaged or not complete; nothing is served of it then
   */
  async restore (source: CarSource, options: RestoreOptions): Promise<RestoreResult> {
    const { blockstore, condition, index, log } = this.#components
    if (!condition.isRestoring && (!condition.isWhole || await hasRepositories(index))) {
      throw new OciError('DENIED', { detail: { reason: 'only an empty registry can be restored' } })
    }
    const began = performance.now()
    using _restoring = condition.beginRestore()
    using _blocks = blockstore.beginCollection()
    const counts: Counts = { blocks: 0, bytes: 0, repositories: 0, tags: 0, manifests: 0, blobs: 0 }
    try {
      const root = await readCarRoot(source)
      const run: Run = { ...options, root, counts, reader: verifiedReader(blockstore) }
      await this.#storeBlocks(source, run)
      await requireBlocks(blockstore, root, options)
      await this.#each('digests', run, async (repository, records) => { await this.#changeOf(repository, records, run) })
      Object.assign(counts, { repositories: 0, tags: 0, manifests: 0, blobs: 0 })
      await condition.restoring()
      await this.#each('index', run, async (repository, records) => { await this.#index(repository, records, run) })
      await condition.restored()
      this.#components.cidStore.refresh()
      this.#components.publisher.refresh()
      const result = { root, ...counts, seconds: Math.round(performance.now() - began) / second }
      log.info('backup restored', result)
      return result
    } catch (err) {
      throw explain(err)
    }
  }

  async #storeBlocks (source: CarSource, { counts, onProgress, signal }: Run): Promise<void> {
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

  async #each (phase: RestoreProgress['phase'], run: Run, work: (repository: string, records: BackupRecord[]) => Promise<void>): Promise<void> {
    for await (const { repository, directory } of backupRepositories(run.reader, run.root, run)) {
      await work(repository, await backupRecords(run.reader, directory, run))
      run.counts.repositories++
      run.onProgress?.({ ...run.counts, phase })
    }
  }

  async #index (repository: string, records: BackupRecord[], run: Run): Promise<void> {
    const change = await this.#changeOf(repository, records, run)
    for (const record of records) {
      if ('blob' in record) {
        // a collection of garbage that began before all this may have found it without a link
        await this.#components.links.add(record.blob, async () => { change.putBlob(record.blob, contentOf(record)) })
      }
    }
    await change.putRepository(repository).commit({ durable: true })
    this.#components.publisher.tagged(repository)
  }

  /** Reads all that the records name; a blob is read only the first time */
  async #changeOf (repository: string, records: BackupRecord[], run: Run): Promise<IndexChange> {
    const change = this.#components.index.change()
    const manifests = new Set<Digest>()
    for (const record of records) {
      run.signal.throwIfAborted()
      if ('blob' in record) {
        await this.#verifyBlob(record.blob, record, run)
        change.putLink(repository, record.blob)
        run.counts.blobs++
      } else if ('manifest' in record) {
        await this.#addManifest(change, repository, record, run)
        manifests.add(record.manifest)
        run.counts.manifests++
      }
    }
    for (const record of records) {
      if ('tag' in record) {
        if (!manifests.has(record.digest)) {
          throw new DamagedBlockError(`the backup has no manifest of ${repository}:${record.tag}`)
        }
        change.putTag(repository, record.tag, { digest: record.digest, updated: record.updated })
        run.counts.tags++
      }
    }
    return change
  }

  async #verifyBlob (digest: Digest, record: BlobRecord, { reader, signal }: Run): Promise<void> {
    const { index } = this.#components
    if ((await index.blob(digest))?.cid === record.cid) {
      return
    }
    if (await digestOfContent(reader, record.cid, algorithmOf(digest), { signal }) !== digest) {
      throw new DamagedBlockError(`the backup has other bytes as ${digest}`)
    }
    // without a link nobody gets it
    await index.change().putBlob(digest, contentOf(record)).commit({ durable: false })
  }

  async #addManifest (change: IndexChange, repository: string, { manifest: digest, mediaType, root, updated }: Extract<BackupRecord, { manifest: Digest }>, run: Run): Promise<void> {
    const read = await readManifest(run.reader, root, { digest, mediaType }, run)
    if (read === undefined) {
      throw new DamagedBlockError(`the backup has no manifest ${digest}`)
    }
    const record: ManifestRecord = { ...manifestRecord(read.manifest, read.found), root, updated }
    change.putManifest(repository, digest, record)
    if (read.manifest.subject !== undefined) {
      change.putReferrer(repository, read.manifest.subject.digest, referrerDescriptor(read.manifest, { digest, size: record.size }))
    }
  }
}

function contentOf ({ cid, size, dagSize }: BlobRecord): BlobRecord {
  return { cid, size, dagSize }
}

async function hasRepositories (index: Index): Promise<boolean> {
  return (await Array.fromAsync(index.repositories({ limit: 1, last: undefined }))).length > 0
}

function explain (err: unknown): unknown {
  const { name, message } = err as Error
  switch (name) {
    case 'DamagedBlockError':
      return new OciError('REQUEST_INVALID', { detail: { reason: message }, cause: err })
    case 'NotFoundError':
      return new OciError('REQUEST_INVALID', { detail: { reason: `the backup is not complete: ${message}` }, cause: err })
    default:
      return toOciError(err)
  }
}
