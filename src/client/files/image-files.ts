import { realpath } from 'node:fs/promises'
import { ClientError } from '../errors.ts'
import { openInside } from './confined-file.ts'
import type { AbortOptions } from '../abort-options.ts'

/** As a JSON file of an image may be */
const maxSmallFile = 16 * 1024 * 1024

/** The files of an image: a directory, or an archive of one */
export interface ImageFiles extends AsyncDisposable {
  /** In messages */
  readonly name: string
  /**
   * Bytes of a file, or undefined where there is none of that path
   *
   * @throws ClientError where the path leads out of the directory, or to something that is no file
   */
  size: (path: string) => Promise<number | undefined>
  /** @throws as {@link ImageFiles.size}, and ClientError where there is no such file */
  read: (path: string, options?: AbortOptions) => AsyncIterable<Uint8Array>
}

/** @param path of a directory, of which nothing is believed: its files are read where they really lie below it, and nowhere else */
export function directoryFiles(path: string): ImageFiles {
  let root: Promise<string> | undefined
  const open = async (file: string): ReturnType<typeof openInside> => {
    // once: a link that leads elsewhere later leads no file there
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

/** @throws ClientError where the file is missing or no JSON */
export async function readJson(
  files: ImageFiles,
  path: string,
  options: AbortOptions = {},
): Promise<{ value: unknown; bytes: Buffer }> {
  const size = await files.size(path)
  if (size === undefined) {
    throw new ClientError(`${files.name} has no ${path}`)
  }
  const bytes = await readSmall(files, path, size, options)
  try {
    return { bytes, value: JSON.parse(bytes.toString()) }
  } catch (err) {
    throw new ClientError(`${path} in ${files.name} is not JSON`, { cause: err })
  }
}

/** @param size as it was said to be: a file may grow */
async function readSmall(files: ImageFiles, path: string, size: number, options: AbortOptions): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let total = 0
  for await (const chunk of size > maxSmallFile ? [] : files.read(path, options)) {
    total += chunk.byteLength
    if (total > maxSmallFile) {
      break
    }
    chunks.push(chunk)
  }
  if (Math.max(size, total) > maxSmallFile) {
    throw new ClientError(`${files.name} has too large a ${path}`)
  }
  return Buffer.concat(chunks)
}
