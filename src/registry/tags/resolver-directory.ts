import { constants } from 'node:fs'
import { open, readdir, realpath, stat } from 'node:fs/promises'
import { join, resolve, sep } from 'node:path'
import { isTag, parseName, parseTag } from '../../oci/reference.ts'
import { maxCidFileBytes } from './cid-store.ts'
import type { ResolverSource } from './resolver-source.ts'

const absent = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG'])

/**
 * Reads `<directory>/<repository>/<tag>`, a file that holds a CID. It never reads outside of the directory, wherever
 * symbolic links point.
 */
export class DirectorySource implements ResolverSource {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = resolve(directory)
  }

  async exists(): Promise<boolean> {
    return await stat(this.#directory).then(
      found => found.isDirectory(),
      () => false,
    )
  }

  async read(repository: string, tag: string): Promise<string | undefined> {
    const path = await this.#path(parseName(repository), parseTag(tag))
    return path === undefined ? undefined : await orAbsent(readStart(path))
  }

  async tags(repository: string): Promise<string[]> {
    const path = await this.#path(parseName(repository))
    const entries = path === undefined ? [] : ((await orAbsent(readdir(path, { withFileTypes: true }))) ?? [])
    const names = await Promise.all(
      entries
        .filter(({ name }) => isTag(name))
        .map(async entry => {
          const isFile = entry.isFile() || (entry.isSymbolicLink() && (await this.#leadsToFile(repository, entry.name)))
          return isFile ? [entry.name] : []
        }),
    )
    return names.flat()
  }

  async #leadsToFile(repository: string, name: string): Promise<boolean> {
    const path = await this.#path(repository, name).catch(() => undefined)
    return (
      path !== undefined &&
      (await stat(path).then(
        found => found.isFile(),
        () => false,
      ))
    )
  }

  /**
   * Follows all symbolic links
   *
   * @returns undefined where there is nothing
   * @throws Error where the directory itself is missing, or a link leads out of it
   */
  async #path(...parts: string[]): Promise<string | undefined> {
    const root = await realpath(this.#directory)
    const path = await orAbsent(realpath(join(root, ...parts)))
    if (path !== undefined && !path.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new Error('a link leads out of the directory')
    }
    return path
  }
}

async function readStart(path: string): Promise<string | undefined> {
  // the flags refuse a link that has been put in place of the file meanwhile, and keep a named pipe from blocking
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!(await file.stat()).isFile()) {
      return undefined
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxCidFileBytes), 0, maxCidFileBytes, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (err) {
    if (absent.has((err as NodeJS.ErrnoException).code ?? '')) {
      return undefined
    }
    throw err
  }
}
