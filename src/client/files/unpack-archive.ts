import { createReadStream } from 'node:fs'
import { mkdtempDisposable, open, stat, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { ClientError } from '../errors.ts'
import { openRegular } from './confined-file.ts'
import type { ImageFiles } from './image-files.ts'
import type { AbortOptions } from '../abort-options.ts'

const MiB = 1024 * 1024
/** An archive packed by gzip may unpack to this many times its size; images come to five times at most, unless they are empty space */
const maxRatio = 100
/** A small one may always unpack to this */
const minLimit = 64 * MiB
const maxEntries = 65_536
/** As long as a path can be anywhere */
const maxNameLength = 4096
const maxLinks = 16

export interface ArchiveOptions extends AbortOptions {
  /** Bytes that it may have when it is unpacked. @default of a file 100 times its size, but at least 64 MiB; of a stream any number */
  maxUnpacked?: number | undefined
}

interface Entries {
  /** Where the files are, by their paths in the archive */
  files: Map<string, string>
  links: Map<string, string>
}

/**
 * Unpacks an archive into a temporary directory, where every file gets a name of ours: what the archive calls it is only looked up
 *
 * @param stream the archive, not packed
 * @throws ClientError where it is none, or is larger than it may be
 */
export async function archiveFiles(
  name: string,
  stream: AsyncIterable<Uint8Array>,
  { maxUnpacked = Infinity, signal }: ArchiveOptions = {},
): Promise<ImageFiles> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'ipdr-'))
  const entries: Entries = { files: new Map(), links: new Map() }
  try {
    const archive = extract()
    const work = [
      pipeline(upTo(stream, maxUnpacked, name), archive, ...(signal === undefined ? [] : [{ signal }])),
      unpack(archive, directory.path, entries, name),
    ]
    try {
      await Promise.all(work)
    } finally {
      // nothing is written any more once the directory goes
      await Promise.allSettled(work)
    }
  } catch (err) {
    await directory[Symbol.asyncDispose]()
    signal?.throwIfAborted()
    throw explain(err, name)
  }
  return archived(name, directory, path => placeOf(path, entries))
}

/**
 * A file that is an archive, packed by gzip or not packed
 *
 * @throws ClientError where it is none, or is larger than it may be
 */
export async function openArchive(path: string, options: ArchiveOptions = {}): Promise<ImageFiles> {
  await using file = await openFile(path)
  const { size } = await file.stat()
  const init = { ...options, maxUnpacked: options.maxUnpacked ?? Math.max(minLimit, maxRatio * size) }
  const isPacked = await isGzip(file)
  const stream = file.createReadStream({ autoClose: false, start: 0 })
  if (!isPacked) {
    return await archiveFiles(path, stream as AsyncIterable<Uint8Array>, init)
  }
  const unpacked = createGunzip()
  // its failures come out of what it writes to
  const packed = pipeline(stream, unpacked).catch(() => {})
  try {
    return await archiveFiles(path, unpacked, init)
  } finally {
    unpacked.destroy()
    await packed
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await openRegular(path, { follow: true })
  } catch (err) {
    throw err instanceof ClientError
      ? err
      : new ClientError(`${path} can't be read: ${(err as Error).message}`, { cause: err })
  }
}

async function* upTo(bytes: AsyncIterable<Uint8Array>, limit: number, name: string): AsyncGenerator<Uint8Array> {
  let left = limit
  for await (const chunk of bytes) {
    left -= chunk.byteLength
    if (left < 0) {
      throw new ClientError(`${name} unpacks to more than ${limit} bytes`, {
        hint: 'If that is what it is, say how large it may be by --max-unpacked, as in --max-unpacked 10GiB.',
      })
    }
    yield chunk
  }
}

async function unpack(
  archive: ReturnType<typeof extract>,
  directory: string,
  { files, links }: Entries,
  name: string,
): Promise<void> {
  let count = 0
  for await (const entry of archive) {
    const { header } = entry
    // its streams are not those of Node, but work like them
    const bytes = entry as unknown as Readable
    count++
    if (count > maxEntries || Math.max(header.name.length, header.linkname?.length ?? 0) > maxNameLength) {
      throw new ClientError(
        `${name} has ${count > maxEntries ? `more than ${maxEntries} files` : 'a file whose path is too long'}`,
      )
    }
    const path = pathOf(header.name)
    if (header.type === 'file' || header.type === 'contiguous-file') {
      const place = join(directory, String(count))
      await writeTo(place, bytes)
      files.set(path, place)
      continue
    }
    if ((header.type === 'symlink' || header.type === 'link') && typeof header.linkname === 'string') {
      links.set(
        path,
        pathOf(header.type === 'link' ? header.linkname : posix.join(posix.dirname(path), header.linkname)),
      )
    }
    bytes.resume()
  }
}

function explain(err: unknown, name: string): unknown {
  const { code, message } = err as NodeJS.ErrnoException
  if (err instanceof ClientError) {
    return err
  }
  const isOurs = code !== undefined && !code.startsWith('Z_')
  return new ClientError(
    isOurs ? `${name} can't be unpacked: ${message}` : `${name} is not a tar archive: ${message}`,
    { cause: err },
  )
}

function archived(name: string, directory: AsyncDisposable, place: (path: string) => string | undefined): ImageFiles {
  return {
    name,
    size: async path => {
      const file = place(path)
      return file === undefined ? undefined : (await stat(file)).size
    },
    read: (path, { signal } = {}) => {
      const file = place(path)
      if (file === undefined) {
        throw new ClientError(`${name} has no ${path}`)
      }
      return createReadStream(file, { signal })
    },
    [Symbol.asyncDispose]: async () => {
      await directory[Symbol.asyncDispose]()
    },
  }
}

/** Older Docker Engines save a layer that occurs twice as a link to the first */
function placeOf(path: string, { files, links }: Entries): string | undefined {
  let wanted = pathOf(path)
  for (let i = 0; i < maxLinks && links.has(wanted); i++) {
    wanted = links.get(wanted)!
  }
  return files.get(wanted)
}

function pathOf(name: string): string {
  return posix.normalize(name).replace(/^\/+/, '').replace(/\/+$/, '')
}

async function writeTo(path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of bytes) {
      await file.write(chunk)
    }
  } finally {
    await file.close()
  }
}

async function isGzip(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0)
  return bytesRead === 2 && buffer.readUInt16BE() === 0x1f8b
}
