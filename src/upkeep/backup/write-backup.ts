import type { IndexSnapshot } from '../../index/index.ts'
import type { Content, ContentStore, DirectoryEntry, StoreOptions } from '../../ipfs/content-store.ts'
import type { Digest } from '../../oci/digest.ts'
import type { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { backupFormat, backupNames, type BackupRecord } from './backup-format.ts'
import { BackupSize } from './backup-size.ts'

/** Bytes of records that are written together, about */
const batchBytes = 64 * 1024

type Stores = Pick<ContentStore, 'add' | 'addDirectory' | 'find' | 'writer'>

/** A manifest or blob that a backup leaves out, as blocks of it are missing or damaged */
export interface LeftOut {
  repository: string
  /** Of a manifest or a blob */
  digest: Digest
  reason: string
}

export interface AddBackupOptions extends StoreOptions {
  /** Tells what is wrong below a root; undefined where everything is here */
  problemOf: (root: string) => Promise<string | undefined>
  /** Blocks that an earlier backup has, which do not count for the size */
  without: BlockSet
}

/** What is noted while the directory is made */
interface Notes {
  leftOut: LeftOut[]
  size: BackupSize
}

/**
 * Stores the directory of a backup: everything in a snapshot of the index whose blocks are all here. One damaged image
 * does not keep the others from being saved.
 *
 * @returns the CID of the directory, and about how many bytes everything below it has
 */
export async function addBackup(
  content: Stores,
  snapshot: IndexSnapshot,
  options: AddBackupOptions,
): Promise<{ root: string; leftOut: LeftOut[]; size: number }> {
  const notes: Notes = { leftOut: [], size: new BackupSize(options.without) }
  const repositories: DirectoryEntry[] = []
  for await (const repository of snapshot.repositories()) {
    options.signal?.throwIfAborted()
    repositories.push({
      name: repository.replaceAll('/', ':'),
      content: await addRepository(content, snapshot, repository, notes, options),
    })
  }
  const root = await content.addDirectory(
    [
      { name: backupNames.format, content: await content.add(new TextEncoder().encode(`${backupFormat}\n`)) },
      { name: backupNames.repositories, content: await content.addDirectory(repositories, options) },
    ],
    options,
  )
  return { root: root.cid, leftOut: notes.leftOut, size: notes.size.total }
}

async function addRepository(
  content: Stores,
  snapshot: IndexSnapshot,
  repository: string,
  notes: Notes,
  options: AddBackupOptions,
): Promise<Content> {
  const records = new RecordsFile(content)
  try {
    const { manifests, skipped } = await addManifests(content, snapshot, repository, records, notes, options)
    const blobs = await addBlobs(snapshot, repository, records, notes, options)
    for await (const { tag, record } of snapshot.tags(repository)) {
      if (!skipped.has(record.digest)) {
        await records.write({ tag, digest: record.digest, updated: record.updated })
      }
    }
    return await content.addDirectory(
      [
        { name: backupNames.records, content: await records.close() },
        { name: backupNames.manifests, content: await content.addDirectory(manifests, options) },
        { name: backupNames.blobs, content: await content.addDirectory(blobs, options) },
      ],
      options,
    )
  } finally {
    records.discard()
  }
}

async function addManifests(
  content: Stores,
  snapshot: IndexSnapshot,
  repository: string,
  records: RecordsFile,
  { leftOut, size }: Notes,
  options: AddBackupOptions,
): Promise<{ manifests: DirectoryEntry[]; skipped: Set<Digest> }> {
  const manifests: DirectoryEntry[] = []
  const skipped = new Set<Digest>()
  for await (const { digest, record } of snapshot.manifests(repository)) {
    const { cid, mediaType, root, updated } = record
    const reason = (await options.problemOf(cid)) ?? (await options.problemOf(root))
    if (reason !== undefined) {
      leftOut.push({ repository, digest, reason })
      skipped.add(digest)
      continue
    }
    await records.write({ manifest: digest, mediaType, root, updated })
    size.addContent(record)
    size.addRoot(root)
    const dagSize = (await content.find(root, [], options))?.claimedDagSize ?? 0
    manifests.push({ name: digest, content: { cid: root, size: 0, dagSize } })
  }
  return { manifests, skipped }
}

async function addBlobs(
  snapshot: IndexSnapshot,
  repository: string,
  records: RecordsFile,
  { leftOut, size: total }: Notes,
  options: AddBackupOptions,
): Promise<DirectoryEntry[]> {
  const blobs: DirectoryEntry[] = []
  for await (const { digest, record } of snapshot.blobs(repository)) {
    const { cid, size, dagSize } = record
    const reason = await options.problemOf(cid)
    if (reason !== undefined) {
      leftOut.push({ repository, digest, reason })
      continue
    }
    await records.write({ blob: digest, cid, size, dagSize })
    total.addContent(record)
    blobs.push({ name: digest, content: { cid, size, dagSize } })
  }
  return blobs
}

/** Writes the file of records, of which only a batch is in memory at a time */
class RecordsFile {
  readonly #writer: ReturnType<ContentStore['writer']>
  #lines = ''

  constructor(content: Stores) {
    this.#writer = content.writer()
  }

  async write(record: BackupRecord): Promise<void> {
    this.#lines += `${JSON.stringify(record)}\n`
    if (this.#lines.length >= batchBytes) {
      await this.#flush()
    }
  }

  async close(): Promise<Content> {
    await this.#flush()
    return await this.#writer.close()
  }

  discard(): void {
    this.#writer.discard()
  }

  async #flush(): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(this.#lines))
    this.#lines = ''
  }
}
