import { createReadStream } from 'node:fs'
import { mkdtempDisposable, open, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { ClientError } from './client-error.ts'
import type { ReadOptions } from './image-source.ts'

/** As a JSON file of an image may be */
const maxSmallFile = 16 * 1024 * 1024
const maxLinks = 16

/** The files of an image: a directory, or an archive of one */
export interface ImageFiles extends AsyncDisposable {
  /** In messages */
  readonly name: string
  /** Bytes of a file, or undefined where there is none of that path */
  size: (path: string) => Promise<number | undefined>
  read: (path: string, options?: ReadOptions) => AsyncIterable<Uint8Array>
}

/** @param path of a directory; its files are asked for by paths that hold nothing but digests */
export function directoryFiles (path: string): ImageFiles {
  return {
    name: path,
    size: async file => await sizeOf(join(path, file)),
    read: (file, { signal } = {}) => createReadStream(join(path, file), { signal }),
    [Symbol.asyncDispose]: async () => {}
  }
}

/**
 * Unpacks an archive into a temporary directory, where every file gets a name of ours: what the archive calls it is only looked up
 *
 * @param stream the archive, packed by gzip or not packed
 * @throws ClientError where it is none
 */
export async function archiveFiles (name: string, stream: Readable, { signal }: ReadOptions = {}): Promise<ImageFiles> {
  const directory = await mkdtempDisposable(join(tmpdir(), 'ipdr-'))
  const files = new Map<string, string>()
  const links = new Map<string, string>()
  try {
    const unpacked = extract()
    await Promise.all([
      pipeline(stream, unpacked, ...(signal === undefined ? [] : [{ signal }])),
      unpack(unpacked, async (header, entry) => {
        const path = pathOf(header.name)
        if (header.type === 'file' || header.type === 'contiguous-file') {
          const place = join(directory.path, String(files.size))
          await writeTo(place, entry)
          files.set(path, place)
          return
        }
        if ((header.type === 'symlink' || header.type === 'link') && typeof header.linkname === 'string') {
          links.set(path, pathOf(header.type === 'link' ? header.linkname : posix.join(posix.dirname(path), header.linkname)))
        }
        entry.resume()
      })
    ])
  } catch (err) {
    await directory[Symbol.asyncDispose]()
    signal?.throwIfAborted()
    throw (err as NodeJS.ErrnoException).code === undefined ? new ClientError(`${name} is not a tar archive: ${(err as Error).message}`, { cause: err }) : err
  }
  return archived(name, directory, path => placeOf(path, files, links))
}

/** A file that is an archive */
export async function openArchive (path: string, options: ReadOptions = {}): Promise<ImageFiles> {
  const stream = createReadStream(path)
  return await archiveFiles(path, await isGzip(path) ? stream.pipe(createGunzip()) : stream, options)
}

/** @throws ClientError where the file is missing or no JSON */
export async function readJson (files: ImageFiles, path: string, options: ReadOptions = {}): Promise<{ value: unknown, bytes: Buffer }> {
  const size = await files.size(path)
  if (size === undefined || size > maxSmallFile) {
    throw new ClientError(`${files.name} has ${size === undefined ? 'no' : 'too large a'} ${path}`)
  }
  const bytes = Buffer.concat(await Array.fromAsync(files.read(path, options)))
  try {
    return { bytes, value: JSON.parse(bytes.toString()) }
  } catch (err) {
    throw new ClientError(`${path} in ${files.name} is not JSON`, { cause: err })
  }
}

function archived (name: string, directory: AsyncDisposable, place: (path: string) => string | undefined): ImageFiles {
  return {
    name,
    size: async path => {
      const file = place(path)
      return file === undefined ? undefined : await sizeOf(file)
    },
    read: (path, { signal } = {}) => {
      const file = place(path)
      if (file === undefined) {
        throw new ClientError(`${name} has no ${path}`)
      }
      return createReadStream(file, { signal })
    },
    [Symbol.asyncDispose]: async () => { await directory[Symbol.asyncDispose]() }
  }
}

/** Older Docker Engines save a layer that occurs twice as a link to the first */
function placeOf (path: string, files: ReadonlyMap<string, string>, links: ReadonlyMap<string, string>): string | undefined {
  let wanted = pathOf(path)
  for (let i = 0; i < maxLinks && links.has(wanted); i++) {
    wanted = links.get(wanted)!
  }
  return files.get(wanted)
}

function pathOf (name: string): string {
  return posix.normalize(name).replace(/^\/+/, '').replace(/\/+$/, '')
}

async function unpack (archive: ReturnType<typeof extract>, take: (header: Header, entry: Readable) => Promise<void>): Promise<void> {
  for await (const entry of archive) {
    // its streams are not those of Node, but work like them
    await take(entry.header, entry as unknown as Readable)
  }
}

async function writeTo (path: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of bytes) {
      await file.write(chunk)
    }
  } finally {
    await file.close()
  }
}

async function sizeOf (path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined)
  return stats?.isFile() === true ? stats.size : undefined
}

async function isGzip (path: string): Promise<boolean> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0)
    return bytesRead === 2 && buffer.readUInt16BE() === 0x1f8b
  } finally {
    await file.close()
  }
}
