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
import type { BlobRecord, IndexSnapshot } from '../index/index.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { isName, isTag } from '../oci/reference.ts'
import type { Content, ContentReader, ContentStore, DirectoryEntry, Found, StoreOptions } from '../ipfs/content-store.ts'
import { DamagedBlockError } from '../ipfs/errors.ts'
import { readWhole } from './read-content.ts'

const format = '1'
const formatFile = 'ipdr-backup'
/** Of a record with a name of 255 characters and two digests by sha512 */
const maxRecordsBytes = 512 * 1024 * 1024

/** One line of `records` */
export type BackupRecord =
  | { manifest: Digest, mediaType: string, root: string, updated?: string | undefined }
  | { tag: string, digest: Digest, updated: string }
  | { blob: Digest } & Pick<BlobRecord, 'cid' | 'size' | 'dagSize'>

type Lines = BackupRecord[]

/**
 * Stores the directory of all that is in a snapshot of the index
 *
 * @returns its root
 */
export async function addBackup (content: Pick<ContentStore, 'add' | 'addDirectory' | 'find'>, snapshot: IndexSnapshot, options: StoreOptions): Promise<string> {
  const repositories: DirectoryEntry[] = []
  for await (const repository of snapshot.repositories()) {
    options.signal?.throwIfAborted()
    repositories.push({ name: repository.replaceAll('/', ':'), content: await addRepository(content, snapshot, repository, options) })
  }
  const root = await content.addDirectory([
    { name: formatFile, content: await content.add(new TextEncoder().encode(`${format}\n`)) },
    { name: 'repositories', content: await content.addDirectory(repositories, options) }
  ], options)
  return root.cid
}

async function addRepository (content: Pick<ContentStore, 'add' | 'addDirectory' | 'find'>, snapshot: IndexSnapshot, repository: string, options: StoreOptions): Promise<Content> {
  const lines: Lines = []
  const manifests: DirectoryEntry[] = []
  const blobs: DirectoryEntry[] = []
  for await (const { digest, record: { mediaType, root, updated } } of snapshot.manifests(repository)) {
    lines.push({ manifest: digest, mediaType, root, updated })
    manifests.push({ name: digest, content: { cid: root, size: 0, dagSize: (await content.find(root, [], options))?.dagSize ?? 0 } })
  }
  for await (const { digest, record: { cid, size, dagSize } } of snapshot.blobs(repository)) {
    lines.push({ blob: digest, cid, size, dagSize })
    blobs.push({ name: digest, content: { cid, size, dagSize } })
  }
  for await (const { tag, record: { digest, updated } } of snapshot.tags(repository)) {
    lines.push({ tag, digest, updated })
  }
  return await content.addDirectory([
    { name: 'records', content: await content.add(new TextEncoder().encode(lines.map(line => `${JSON.stringify(line)}\n`).join(''))) },
    { name: 'manifests', content: await content.addDirectory(manifests, options) },
    { name: 'blobs', content: await content.addDirectory(blobs, options) }
  ], options)
}

/**
 * The repositories in a backup, with the CIDs of their directories
 *
 * @throws DamagedBlockError where it is none of a format that is known; what {@link ContentReader.read} throws
 */
export async function * backupRepositories (reader: ContentReader, root: string, options: StoreOptions): AsyncGenerator<{ repository: string, directory: string }> {
  const found = await reader.find(root, [formatFile], options)
  const number = found?.type === 'file' && found.size < 100 ? new TextDecoder().decode(await readWhole(reader, found, options)).trim() : undefined
  if (number !== format) {
    throw new DamagedBlockError(number === undefined ? `${root} is no backup of a registry` : `the backup has format ${number}; this version reads format ${format}`)
  }
  const repositories = await reader.find(root, ['repositories'], options)
  for await (const { name, cid } of reader.list(directoryOf(repositories, 'repositories').cid, options)) {
    const repository = name.replaceAll(':', '/')
    if (!isName(repository)) {
      throw new DamagedBlockError(`the backup has a repository without a valid name`)
    }
    yield { repository, directory: cid }
  }
}

/** @throws as {@link backupRepositories} */
export async function backupRecords (reader: ContentReader, directory: string, options: StoreOptions): Promise<BackupRecord[]> {
  const found = await reader.find(directory, ['records'], options)
  if (found?.type !== 'file' || found.size > maxRecordsBytes) {
    throw new DamagedBlockError('the backup has a repository without records')
  }
  const lines = new TextDecoder().decode(await readWhole(reader, found, options)).split('\n').filter(Boolean)
  return lines.map(line => parseRecord(line))
}

function parseRecord (line: string): BackupRecord {
  const record = JSON.parse(line) as Record<string, unknown>
  const { manifest, mediaType, root, tag, digest, blob, cid, size, dagSize } = record
  const isRight = isDigest(manifest)
    ? typeof mediaType === 'string' && typeof root === 'string'
    : isTag(tag) ? isDigest(digest) : isDigest(blob) && typeof cid === 'string' && Number.isSafeInteger(size) && Number.isSafeInteger(dagSize)
  if (!isRight) {
    throw new DamagedBlockError('the backup has a record that is none')
  }
  return record as BackupRecord
}

function directoryOf (found: Found | undefined, name: string): Found {
  if (found?.type !== 'directory') {
    throw new DamagedBlockError(`the backup has no ${name}`)
  }
  return found
}
