/** Reads a backup that anybody may have made: it relies on nothing but that each block matches its CID */
import { createHash } from 'node:crypto'
import type { BlobRecord } from '../../index/index.ts'
import { blockKey, BlockSet, type BlockKey } from '../../ipfs/blocks/block-set.ts'
import type { Content, ContentReader, Found, StoreOptions } from '../../ipfs/content-store.ts'
import { DamagedBlockError } from '../../ipfs/errors.ts'
import { algorithmOf, digestFrom, isDigest, type Digest } from '../../oci/digest.ts'
import { isName, isTag } from '../../oci/reference.ts'
import { backupFormat, backupNames, type BackupRecord } from './backup-format.ts'

/** A record may have this many bytes: far more than its digests, CID and media type take */
const maxRecordBytes = 64 * 1024
const maxFormatBytes = 100
/** Characters of a date */
const maxDateLength = 40

/**
 * The repositories in a backup, with the CIDs of their directories
 *
 * @throws DamagedBlockError where it is not a backup, or has an unknown format; what {@link ContentReader.read} throws
 */
export async function* backupRepositories(
  reader: ContentReader,
  root: string,
  options: StoreOptions,
): AsyncGenerator<{ repository: string; directory: string }> {
  const number = await formatOf(reader, root, options)
  if (number !== backupFormat) {
    throw new DamagedBlockError(
      number === undefined
        ? `${root} is not a backup of a registry`
        : `the backup has format ${number}; this version reads format ${backupFormat}`,
    )
  }
  const seen = new BlockSet()
  for await (const { name, cid } of entries(reader, root, backupNames.repositories, options)) {
    const repository = name.replaceAll(':', '/')
    if (name.includes('/') || !isName(repository)) {
      throw new DamagedBlockError('the backup has a repository without a valid name')
    }
    if (!seen.add(keyOf(repository))) {
      throw new DamagedBlockError(`the backup has the repository ${repository} twice`)
    }
    yield { repository, directory: cid }
  }
}

/**
 * The records of a repository in their order. It accepts each manifest and blob only once and only if the directories
 * of the repository link to it, so that its blocks are here; and a tag only after the manifest at which it points.
 *
 * @throws as {@link backupRepositories}
 */
export async function* backupRecords(
  reader: ContentReader,
  directory: string,
  options: StoreOptions,
): AsyncGenerator<BackupRecord> {
  const linked = new BlockSet()
  for (const kind of [backupNames.manifests, backupNames.blobs]) {
    for await (const { name, cid } of entries(reader, directory, kind, options)) {
      if (!linked.add(keyOf(kind, name, cid))) {
        throw new DamagedBlockError('the backup has the same link twice')
      }
    }
  }
  const seen = new BlockSet()
  for await (const line of linesOf(reader, directory, options)) {
    const record = parseRecord(line)
    const [kind, name, cid] =
      'manifest' in record
        ? ([backupNames.manifests, record.manifest, record.root] as const)
        : 'blob' in record
          ? ([backupNames.blobs, record.blob, record.cid] as const)
          : (['tags', record.tag, undefined] as const)
    if (!seen.add(keyOf(kind, name))) {
      throw new DamagedBlockError(`the backup has two records of ${name}`)
    }
    if (cid !== undefined && !linked.has(keyOf(kind, name, cid))) {
      throw new DamagedBlockError(`the backup has a record of ${name} with a CID that it does not link to`)
    }
    if ('tag' in record && !seen.has(keyOf(backupNames.manifests, record.digest))) {
      throw new DamagedBlockError(`the backup has a tag ${record.tag} of a manifest that it lacks: ${record.digest}`)
    }
    yield record
  }
}

/**
 * Reads a whole blob, and compares it with its digest and size
 *
 * @returns its record, by what was read; `isOurs` tells whether our own writer makes the same DAG
 * @throws DamagedBlockError where it does not match; what {@link ContentReader.read} throws
 */
export async function verifiedBlob(
  reader: ContentReader,
  digest: Digest,
  { cid, size }: Pick<BlobRecord, 'cid' | 'size'>,
  options: StoreOptions,
): Promise<BlobRecord & { isOurs: boolean }> {
  const hash = createHash(algorithmOf(digest))
  let length = 0
  for await (const chunk of reader.read(cid, options)) {
    length += chunk.byteLength
    if (length > size) {
      break
    }
    hash.update(chunk)
  }
  const ours = await reader.canonical(cid, options)
  const found = ours ?? contentOf(await reader.find(cid, [], options))
  requireSize(digest, { size: length }, { size })
  requireSize(digest, found ?? { size: -1 }, { size })
  if (digestFrom(algorithmOf(digest), hash.digest('hex')) !== digest) {
    throw new DamagedBlockError(`the backup has bytes that do not match ${digest}`)
  }
  return { cid, size, dagSize: found!.dagSize, isOurs: ours !== undefined }
}

/**
 * Where our own writer would make another DAG, the size of all blocks is what the DAG claims: nobody has counted them
 */
export function contentOf(found: Found | undefined): Content | undefined {
  return found === undefined ? undefined : { cid: found.cid, size: found.size, dagSize: found.claimedDagSize }
}

/** @throws DamagedBlockError where a record has another size than what it stands for */
export function requireSize(
  digest: Digest,
  found: Pick<BlobRecord, 'size'> & Partial<BlobRecord>,
  { size }: Pick<BlobRecord, 'size'>,
): void {
  if (found.size !== size || !Number.isSafeInteger(found.dagSize ?? 0)) {
    throw new DamagedBlockError(`the backup does not have the ${size} bytes of ${digest} that it claims`)
  }
}

async function formatOf(reader: ContentReader, root: string, options: StoreOptions): Promise<string | undefined> {
  const found = await reader.find(root, [backupNames.format], options)
  if (found?.type !== 'file' || found.size > maxFormatBytes) {
    return undefined
  }
  let text = ''
  for await (const chunk of reader.read(found.cid, options)) {
    text += Buffer.from(chunk).toString('latin1')
    if (text.length > maxFormatBytes) {
      return undefined
    }
  }
  return text.trim()
}

async function* entries(
  reader: ContentReader,
  root: string,
  name: string,
  options: StoreOptions,
): AsyncGenerator<{ name: string; cid: string }> {
  const found = await reader.find(root, [name], options)
  if (found?.type !== 'directory') {
    throw new DamagedBlockError(`the backup has no ${name}`)
  }
  yield* reader.list(found.cid, options)
}

async function* linesOf(reader: ContentReader, directory: string, options: StoreOptions): AsyncGenerator<string> {
  const found = await reader.find(directory, [backupNames.records], options)
  if (found?.type !== 'file') {
    throw new DamagedBlockError('the backup has a repository without records')
  }
  let rest = Buffer.alloc(0)
  for await (const chunk of reader.read(found.cid, options)) {
    const bytes = Buffer.concat([rest, chunk])
    let start = 0
    for (let end = bytes.indexOf('\n'); end !== -1; end = bytes.indexOf('\n', start)) {
      yield requireShort(bytes.subarray(start, end)).toString()
      start = end + 1
    }
    // a copy, so that the whole block does not stay in memory for it
    rest = Buffer.from(requireShort(bytes.subarray(start)))
  }
  if (rest.byteLength > 0) {
    throw new DamagedBlockError('the backup has a record that is cut short')
  }
}

function requireShort(line: Buffer): Buffer {
  if (line.byteLength > maxRecordBytes) {
    throw new DamagedBlockError(`the backup has a record of more than ${maxRecordBytes} bytes`)
  }
  return line
}

function parseRecord(line: string): BackupRecord {
  let record: unknown
  try {
    record = JSON.parse(line)
  } catch (err) {
    throw new DamagedBlockError('the backup has a record that is not JSON', { cause: err })
  }
  const read = typeof record === 'object' && record !== null ? toRecord(record as Record<string, unknown>) : undefined
  if (read === undefined) {
    throw new DamagedBlockError('the backup has a malformed record')
  }
  return read
}

function toRecord({
  manifest,
  mediaType,
  root,
  updated,
  tag,
  digest,
  blob,
  cid,
  size,
  dagSize,
}: Record<string, unknown>): BackupRecord | undefined {
  if (isDigest(manifest)) {
    const isRight =
      typeof mediaType === 'string' && typeof root === 'string' && (updated === undefined || isDate(updated))
    return isRight ? { manifest, mediaType, root, updated } : undefined
  }
  if (isTag(tag)) {
    return isDigest(digest) && isDate(updated) ? { tag, digest, updated } : undefined
  }
  return isDigest(blob) && typeof cid === 'string' && isSize(size) && isSize(dagSize)
    ? { blob, cid, size, dagSize }
    : undefined
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isDate(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxDateLength && !Number.isNaN(Date.parse(value))
}

/**
 * A short key for sets that hold many names. It is made by SHA-256, so that nobody can make two names with the same
 * key.
 */
export function keyOf(...words: string[]): BlockKey {
  return blockKey(createHash('sha256').update(JSON.stringify(words)).digest())
}
