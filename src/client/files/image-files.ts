/**
 * Images in files. This file is what a directory and an unpacked archive have in common; files-source.ts and
 * docker-save-source.ts read an image from either. What comes from strangers is read by confined-file.ts (nothing
 * outside the directory) and unpack-archive.ts (not too much). layout-target.ts and archive-target.ts write images, by
 * atomic-file.ts and tar-writer.ts. Imports images/ and the errors.
 */
import { realpath } from 'node:fs/promises'
import { ClientError } from '../../remote/errors.ts'
import { openInside } from './confined-file.ts'
import type { AbortOptions } from '../../remote/abort-options.ts'

/** Largest JSON file of an image, in bytes */
const maxJsonBytes = 16 * 1024 * 1024

/** The files of an image, by their paths in its directory or archive */
export interface ImageFiles extends AsyncDisposable {
  /** What messages call it */
  readonly name: string
  /**
   * Bytes of a file, or undefined if it does not exist
   *
   * @throws ClientError if the path leads out of the directory, or to something that is not a regular file
   */
  size: (path: string) => Promise<number | undefined>
  /** @throws as {@link ImageFiles.size}, and ClientError if the file does not exist */
  read: (path: string, options?: AbortOptions) => AsyncIterable<Uint8Array>
}

/** The files of a directory that a stranger may have made: a link out of it is refused */
export function directoryFiles(path: string): ImageFiles {
  let root: Promise<string> | undefined
  const open = async (file: string): ReturnType<typeof openInside> => {
    // resolved once: if the directory becomes a link to elsewhere, its files are not read from there
    root ??= realpath(path)
    return await openInside(await root, file)
  }
  return {
    name: path,
    size: async file => {
      await using found = await open(file)
      return (await found?.stat())?.size
    },
    read: async function* (file, { signal } = {}) {
      await using found = await open(file)
      if (found === undefined) {
        throw new ClientError(`${path} has no ${file}`)
      }
      yield* found.createReadStream({ autoClose: false, signal }) as AsyncIterable<Uint8Array>
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

/** @throws ClientError if the file is missing, too large or not JSON */
export async function readJson(
  files: ImageFiles,
  path: string,
  options: AbortOptions = {},
): Promise<{ value: unknown; bytes: Buffer }> {
  const size = await files.size(path)
  if (size === undefined) {
    throw new ClientError(`${files.name} has no ${path}`)
  }
  const bytes = await readWhole(files, path, size, options)
  try {
    return { bytes, value: JSON.parse(bytes.toString()) }
  } catch (err) {
    throw new ClientError(`${path} in ${files.name} is not JSON`, { cause: err })
  }
}

/** @param size as it was a moment ago; the file may have grown since */
async function readWhole(files: ImageFiles, path: string, size: number, options: AbortOptions): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let total = 0
  for await (const chunk of size > maxJsonBytes ? [] : files.read(path, options)) {
    total += chunk.byteLength
    if (total > maxJsonBytes) {
      break
    }
    chunks.push(chunk)
  }
  if (Math.max(size, total) > maxJsonBytes) {
    throw new ClientError(`${path} in ${files.name} is larger than ${maxJsonBytes} bytes`)
  }
  return Buffer.concat(chunks)
}
