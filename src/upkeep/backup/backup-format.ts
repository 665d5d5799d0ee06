/**
 * What a backup is: a directory in IPFS, below which lies all that clients can get of a registry at one moment.
 *
 * ```
 * <root>/ipdr-backup                           number of this format
 * <root>/repositories/<repository>/            `:` in its name stands for `/`
 *          records                             lines of JSON, a record each
 *          manifests/<digest>                  image root of every manifest
 *          blobs/<digest>                      every blob that the repository may serve
 * ```
 *
 * It depends on the content alone: what has not changed has the same CID in the next backup.
 */
import type { BlobRecord, IndexSnapshot } from '../../index/index.ts'
import type { Content, ContentStore, DirectoryEntry, StoreOptions } from '../../ipfs/content-store.ts'
import type { Digest } from '../../oci/digest.ts'

export const backupFormat = '1'
/** Names in the directory */
export const backupNames = {
  format: 'ipdr-backup',
  repositories: 'repositories',
  records: 'records',
  manifests: 'manifests',
  blobs: 'blobs',
} as const

/** Written together, about so many bytes */
const batchBytes = 64 * 1024

/** One line of `records` */
export type BackupRecord =
  | { manifest: Digest; mediaType: string; root: string; updated?: string | undefined }
  | { tag: string; digest: Digest; updated: string }
  | ({ blob: Digest } & Pick<BlobRecord, 'cid' | 'size' | 'dagSize'>)

type Stores = Pick<ContentStore, 'add' | 'addDirectory' | 'find' | 'writer'>

/** Something of the registry that a backup has not, as blocks of it are missing or damaged */
export interface LeftOut {
  repository: string
  /** Of a manifest or a blob */
  digest: Digest
  reason: string
}

export interface AddBackupOptions extends StoreOptions {
  /** What is wrong below a root; undefined where all is here */
  problemOf: (root: string) => Promise<string | undefined>
}

/**
 * Stores the directory of all that is in a snapshot of the index and is here with all its blocks: an image that is damaged keeps no other from
 * being saved
 */
export async function addBackup(
  content: Stores,
  snapshot: IndexSnapshot,
  options: AddBackupOptions,
): Promise<{ root: string; leftOut: LeftOut[] }> {
  const leftOut: LeftOut[] = []
  const repositories: DirectoryEntry[] = []
  for await (const repository of snapshot.repositories()) {
    options.signal?.throwIfAborted()
    repositories.push({
      name: repository.replaceAll('/', ':'),
      content: await addRepository(content, snapshot, repository, leftOut, options),
    })
  }
  const root = await content.addDirectory(
    [
      { name: backupNames.format, content: await content.add(new TextEncoder().encode(`${backupFormat}\n`)) },
      { name: backupNames.repositories, content: await content.addDirectory(repositories, options) },
    ],
    options,
  )
  return { root: root.cid, leftOut }
}

async function addRepository(
  content: Stores,
  snapshot: IndexSnapshot,
  repository: string,
  leftOut: LeftOut[],
  options: AddBackupOptions,
): Promise<Content> {
  const records = new RecordsFile(content)
  const manifests: DirectoryEntry[] = []
  const blobs: DirectoryEntry[] = []
  const damaged = new Set<Digest>()
  const isHere = async (digest: Digest, ...cids: string[]): Promise<boolean> => {
    for (const cid of cids) {
      const reason = await options.problemOf(cid)
      if (reason !== undefined) {
        leftOut.push({ repository, digest, reason })
        return false
      }
    }
    return true
  }
  try {
    for await (const {
      digest,
      record: { cid, mediaType, root, updated },
    } of snapshot.manifests(repository)) {
      if (!(await isHere(digest, cid, root))) {
        damaged.add(digest)
        continue
      }
      await records.write({ manifest: digest, mediaType, root, updated })
      manifests.push({
        name: digest,
        content: { cid: root, size: 0, dagSize: (await content.find(root, [], options))?.claimedDagSize ?? 0 },
      })
    }
    for await (const {
      digest,
      record: { cid, size, dagSize },
    } of snapshot.blobs(repository)) {
      if (!(await isHere(digest, cid))) {
        continue
      }
      await records.write({ blob: digest, cid, size, dagSize })
      blobs.push({ name: digest, content: { cid, size, dagSize } })
    }
    for await (const {
      tag,
      record: { digest, updated },
    } of snapshot.tags(repository)) {
      if (!damaged.has(digest)) {
        await records.write({ tag, digest, updated })
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

/** A file of records, of which only some are in memory */
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
