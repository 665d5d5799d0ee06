import { createReadStream } from 'node:fs'
import { mkdtempDisposable, open, stat, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { ClientError } from '../../remote/errors.ts'
import { openRegular } from './confined-file.ts'
import type { ImageFiles } from './image-files.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'

const MiB = 1024 * 1024
/** An archive may unpack to this many times its size: real images reach five times, unless they hold empty space */
const maxRatio = 100
/** Any archive may unpack to this, however small it is */
const minLimit = 64 * MiB
const maxEntries = 65_536
/** The longest path of Linux */
const maxNameLength = 4096
/** Links from one to the next until a file */
const maxLinks = 16

export interface ArchiveOptions extends AbortOptions {
  /**
   * Bytes that it may unpack to. @default unlimited for a stream; for a file 100 times its size, but at least 64 MiB
   */
  maxUnpacked?: number | undefined
}

interface Entries {
  /** Paths in the archive to paths on disk */
  files: Map<string, string>
  /** Paths in the archive to the paths that the links there lead to */
  links: Map<string, string>
}

/**
 * Unpacks an archive into a temporary directory. Files get numbers there instead of their names, so no name in the
 * archive can lead elsewhere.
 *
 * @param name of the archive, for messages
 * @param stream the archive, uncompressed
 * @throws ClientError if it is not a tar archive, or unpacks to too much
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
      // both have to end before the directory is removed
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
 * Unpacks an archive that is a file, compressed by gzip or not
 *
 * @throws ClientError if it can't be read, is not a tar archive, or unpacks to too much
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
  // a failure of the pipeline also reaches the reader of `unpacked`
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
        hint: 'If the image really is that large, allow it: --max-unpacked 10GiB.',
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
    // tar-stream has streams of its own, which work like those of Node
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

/** Follows links: older Docker Engines save a layer that occurs twice as a link to the first one */
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
