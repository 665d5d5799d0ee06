import { createHash, type Hash } from 'node:crypto'
import { posix } from 'node:path'
import { TimeSlice } from '../../../scheduling/time-slice.ts'
import { ByteReader } from './byte-reader.ts'
import { ListingRefused } from './listing-bounds.ts'
import { blockSize, parseTarHeader, textOfField, type TarHeader } from './tar-header.ts'

/** Bytes of what an archive says of one entry beside its header, as for Go's reader, which clients use */
const maxExtension = 1024 * 1024
/** The longest path of Linux */
const maxPath = 4096
/** Directories around a file: more than any real file has, as each has to be looked up */
const maxDepth = 128

export type FileType = 'file' | 'directory' | 'hard link' | 'symbolic link' | 'device' | 'pipe' | 'other'

export interface TarEntry {
  /** Without `.`, `..` and slashes around it; never empty */
  path: string
  type: FileType
  /** Bytes of a file with its holes */
  size: number
  /** Where a link leads to, as the archive has it */
  target: string | undefined
  /** The same for the same type, bytes and target */
  content: string
  /** The same for the same permissions, owner and extended attributes */
  attributes: string
}

const types: Record<string, FileType> = {
  '0': 'file',
  '1': 'hard link',
  '2': 'symbolic link',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'pipe',
  '7': 'file',
  S: 'file',
}
/** Whatever size an archive says that these have, nothing follows */
const withoutBytes = /^[1-6]$/

/** What headers before that of an entry say of it */
interface Extension {
  name?: string
  target?: string
  size?: number
  /** Of a sparse file with its holes */
  realSize?: number
  /** Extended attributes */
  attributes: string[]
}

/**
 * Reads an archive, and of files only what tells one from another. There are libraries that read archives; none has a
 * bound on what stands before an entry, and tar-stream copies that anew for each entry.
 *
 * @param bytes the archive, uncompressed; bounded by whoever gives them
 * @throws ListingRefused with `malformed`; what `bytes` throws
 */
export async function* tarEntries(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  await using reader = new ByteReader(bytes)
  const slice = new TimeSlice()
  let extension: Extension = { attributes: [] }
  for (;;) {
    const block = await reader.read(blockSize)
    const header = block && parseTarHeader(block)
    if (header === undefined) {
      return
    }
    await slice.pause()
    if (/^[xgLK]$/.test(header.type)) {
      extension = await extended(extension, header, reader)
      continue
    }
    const entry = await entryOf(header, extension, reader, slice)
    extension = { attributes: [] }
    if (entry.path !== '') {
      yield entry
    }
  }
}

async function entryOf(
  header: TarHeader,
  { attributes, name = header.name, realSize, size = header.size, target = header.target }: Extension,
  reader: ByteReader,
  slice: TimeSlice,
): Promise<TarEntry> {
  const path = cleaned(name)
  const isDirectory = /^[07]$/.test(header.type) && name.endsWith('/')
  const type = isDirectory ? 'directory' : (types[header.type] ?? 'other')
  const hash = createHash('sha256').update(`${type} ${target.length} ${target} `)
  if (header.type === 'S') {
    await passHoles(header, reader, hash)
  }
  if (!withoutBytes.test(header.type)) {
    await passContent(size, reader, hash, slice)
  }
  const isFile = type === 'file'
  return {
    path,
    type,
    size: isFile ? (realSize ?? (header.type === 'S' ? header.sparse.size : size)) : 0,
    target: target === '' ? undefined : target,
    content: hash.digest('base64'),
    attributes: [header.mode & 0o7777, header.uid, header.gid, ...attributes].join(' '),
  }
}

async function passContent(size: number, reader: ByteReader, hash: Hash, slice: TimeSlice): Promise<void> {
  let left = size
  while (left > 0) {
    const length = Math.min(left, 1024 * 1024)
    await reader.pass(length, part => {
      hash.update(part)
    })
    left -= length
    await slice.pause()
  }
  await reader.pass(padding(size))
}

/** The blocks of an old sparse file that tell of more holes than its header has room for */
async function passHoles({ sparse }: TarHeader, reader: ByteReader, hash: Hash): Promise<void> {
  let { hasMore } = sparse
  while (hasMore) {
    const block = await reader.read(blockSize)
    if (block === undefined) {
      throw new ListingRefused('malformed')
    }
    hash.update(block)
    hasMore = block[504] === 1
  }
}

async function extended(before: Extension, { size, type }: TarHeader, reader: ByteReader): Promise<Extension> {
  if (size > maxExtension) {
    throw new ListingRefused('malformed')
  }
  const bytes = (await reader.read(size)) ?? Buffer.alloc(0)
  await reader.pass(padding(size))
  if (bytes.byteLength < size) {
    throw new ListingRefused('malformed')
  }
  switch (type) {
    case 'L':
      return { ...before, name: textOfField(bytes) }
    case 'K':
      return { ...before, target: textOfField(bytes) }
    case 'x':
      return { ...before, ...paxExtension(bytes) }
    default:
      // what holds for the whole archive says nothing that is shown here, and clients pass over it as well
      return before
  }
}

/** @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03 */
function paxExtension(bytes: Buffer): Extension {
  const extension: Extension = { attributes: [] }
  const attributes = createHash('sha256')
  let hasAttributes = false
  for (const [key, value] of paxRecords(bytes)) {
    switch (key) {
      case 'path':
      case 'GNU.sparse.name':
        extension.name = value.toString()
        break
      case 'linkpath':
        extension.target = value.toString()
        break
      case 'size':
        extension.size = wholeNumber(value)
        break
      case 'GNU.sparse.realsize':
      case 'GNU.sparse.size':
        extension.realSize = wholeNumber(value)
        break
      default:
        if (key.startsWith('SCHILY.xattr.')) {
          hasAttributes = true
          attributes.update(`${key} ${value.byteLength} `).update(value)
        }
    }
  }
  return { ...extension, attributes: hasAttributes ? [attributes.digest('base64')] : [] }
}

/** Each is `<length> <key>=<value>` and the end of a line */
function* paxRecords(bytes: Buffer): Generator<[key: string, value: Buffer]> {
  let at = 0
  while (at < bytes.byteLength) {
    const space = bytes.indexOf(0x20, at)
    const length = wholeNumber(bytes.subarray(at, Math.min(space < 0 ? at : space, at + 10)))
    const end = at + length
    const equals = bytes.indexOf(0x3d, space)
    if (end > bytes.byteLength || equals < 0 || equals >= end || bytes[end - 1] !== 0x0a || end <= space) {
      throw new ListingRefused('malformed')
    }
    yield [bytes.toString('utf8', space + 1, equals), bytes.subarray(equals + 1, end - 1)]
    at = end
  }
}

function wholeNumber(text: Buffer): number {
  const number = text.byteLength > 0 && text.byteLength <= 16 ? Number(text.toString('latin1')) : Number.NaN
  if (!Number.isSafeInteger(number) || number < 0) {
    throw new ListingRefused('malformed')
  }
  return number
}

function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

/** Where clients put a file, which never leave the root of an image */
function cleaned(name: string): string {
  if (name.length > maxPath) {
    throw new ListingRefused('malformed')
  }
  const path = posix.normalize(`/${name}`).replace(/^\/+|\/+$/g, '')
  if (path.split('/').length > maxDepth) {
    throw new ListingRefused('malformed')
  }
  return path
}
