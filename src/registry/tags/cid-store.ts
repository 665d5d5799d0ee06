/**
 * The CID store: the tags as files, in the layout of older IPDR programs, which a resolver `file:<directory>` reads:
 *
 * ```
 * <directory>/<repository>/<tag>     CID of the image root as CIDv1 in base32, without a line break
 * ```
 *
 * The files follow the index. The tag `b` of the repository `a` and the repository `a/b` want the same place: what is
 * there first stays, and the other one has no file until the first is gone. The log says so.
 */
import type { Dirent } from 'node:fs'
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { isName, isTag, parseName, parseTag } from '../../oci/reference.ts'
import type { IndexCondition } from '../index-condition.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { rootOfTag } from './tag-roots.ts'
import { everything } from '../../oci/pagination.ts'
import type { TagListener } from './tag-listener.ts'

export interface CidStoreComponents {
  /** While the index is not whole, no file is deleted as that of a deleted tag */
  condition: Pick<IndexCondition, 'isWhole'>
  index: Pick<Index, 'manifest' | 'repositories' | 'tag' | 'tags'>
  log: Logger
}

export interface CidStoreInit {
  directory: string
  /**
   * Whether only this registry writes to the directory, so that files of tags that the index does not have are deleted
   */
  exclusive: boolean
  /** Modes of new files and directories, where other programs have to read them; undefined: those of the process */
  modes?: { file: number; directory: number } | undefined
}

/** Bytes of a file that holds a CID, here or at another node: longer than any CID */
export const maxCidFileBytes = 1024

/** Codes of errors that arise where a file is in the place of a directory, or the other way round */
const clashes = new Set(['ENOTDIR', 'EISDIR', 'EEXIST', 'ENOTEMPTY'])
const temporaryPrefix = '.tmp-'

export class CidStore implements TagListener {
  readonly #components: CidStoreComponents
  readonly #directory: string
  readonly #exclusive: boolean
  readonly #modes: CidStoreInit['modes']
  /** One lock for the whole store, so that no directory is removed while a file is being put into it */
  readonly #lock = new KeyedLock()
  readonly #controller = new AbortController()
  #filling: Promise<void> = Promise.resolve()
  #writes = 0
  #clashed = false

  constructor(components: CidStoreComponents, init: CidStoreInit) {
    this.#components = components
    this.#directory = resolve(init.directory)
    this.#exclusive = init.exclusive
    this.#modes = init.modes
  }

  /**
   * Brings the files up to date in the background, as a crash may have come between a change of the index and that of a
   * file
   */
  async start(): Promise<void> {
    await this.#makeDirectory(this.#directory)
    this.refresh()
  }

  /** Brings the files up to date in the background */
  refresh(): void {
    this.#refill(this.#exclusive && this.#components.condition.isWhole)
  }

  /** Waits until the files that are being written are complete */
  async stop(): Promise<void> {
    this.#controller.abort()
    await this.#filling
    await this.#lock.idle()
  }

  tagged(repository: string, tag: string): void {
    this.update(repository, tag).catch((err: unknown) => {
      this.#components.log.error('CID of a tag not stored', { repository, tag, err })
    })
  }

  /** Writes or deletes the file of a tag, as the index has it */
  async update(repository: string, tag: string): Promise<void> {
    const path = join(this.#directory, parseName(repository), parseTag(tag))
    await this.#lock.run('', async () => {
      const root = await rootOfTag(this.#components.index, repository, tag)
      try {
        await (root === undefined ? this.#delete(path) : this.#write(path, root))
      } catch (err) {
        if (!clashes.has((err as NodeJS.ErrnoException).code ?? '')) {
          throw err
        }
        this.#clashed = true
        this.#components.log.warn('tag not in the CID store: something else is in its place', { repository, tag })
      }
    })
  }

  /** All tags that have a file, those of a repository together */
  async *list(): AsyncGenerator<{ repository: string; tag: string }> {
    const left = ['']
    for (let repository = left.pop(); repository !== undefined; repository = left.pop()) {
      for (const entry of await entriesOf(join(this.#directory, repository))) {
        const path = repository === '' ? entry.name : `${repository}/${entry.name}`
        if (entry.isDirectory() && isName(path)) {
          left.push(path)
        } else if (entry.isFile() && repository !== '' && isTag(entry.name)) {
          yield { repository, tag: entry.name }
        }
      }
    }
  }

  /**
   * Reads the CID in the file of a tag, after all changes so far were written
   *
   * @returns `root` is undefined where there is no file; `clash` tells that something else is in its place
   */
  async read(repository: string, tag: string): Promise<{ root?: string | undefined; clash: boolean }> {
    return await this.#lock.run('', async () => {
      try {
        return {
          root: (await readFile(join(this.#directory, parseName(repository), parseTag(tag)), 'utf8')).trim(),
          clash: false,
        }
      } catch (err) {
        const { code = '' } = err as NodeJS.ErrnoException
        if (code !== 'ENOENT' && !clashes.has(code)) {
          throw err
        }
        return { clash: clashes.has(code) }
      }
    })
  }

  /** Resolves when all changes so far were written */
  async idle(): Promise<void> {
    await this.#filling
    await this.#lock.idle()
  }

  #refill(prune: boolean): void {
    this.#filling = this.#filling
      .then(async () => {
        await (prune ? this.#prune(this.#directory) : undefined)
        await this.#fill()
      })
      .catch((err: unknown) => {
        this.#components.log.error('CID store not brought up to date', { err })
      })
  }

  /** Deletes files of tags that the index does not have, and files that a crash left half written */
  async #prune(directory: string): Promise<void> {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (this.#controller.signal.aborted) {
        return
      }
      const path = join(directory, entry.name)
      if (entry.isDirectory()) {
        await this.#prune(path)
      } else if (
        entry.name.startsWith(temporaryPrefix) ||
        (isTag(entry.name) &&
          (await rootOfTag(this.#components.index, relative(this.#directory, directory), entry.name)) === undefined)
      ) {
        await this.#lock.run('', async () => {
          await this.#delete(path)
        })
      }
    }
  }

  async #fill(): Promise<void> {
    const { index } = this.#components
    for await (const repository of index.repositories(everything)) {
      for await (const { tag } of index.tags(repository, everything)) {
        if (this.#controller.signal.aborted) {
          return
        }
        await this.update(repository, tag)
      }
    }
  }

  async #write(path: string, root: string): Promise<void> {
    if ((await readFile(path, 'utf8').catch(() => undefined)) === root) {
      return
    }
    const directory = dirname(path)
    await this.#makeDirectory(directory)
    // written beside it and renamed, so that no reader ever sees half a file
    const temporary = join(directory, `${temporaryPrefix}${process.pid}-${this.#writes++}`)
    try {
      // no sync is needed: what is lost in a power failure is written again at the next start
      await writeFile(temporary, root, { flag: 'wx', mode: 0o644 })
      await (this.#modes === undefined ? undefined : chmod(temporary, this.#modes.file))
      await rename(temporary, path)
    } catch (err) {
      await rm(temporary, { force: true })
      throw err
    }
  }

  async #makeDirectory(path: string): Promise<void> {
    const first = await mkdir(path, { recursive: true })
    for (
      let made = path;
      this.#modes !== undefined && first !== undefined && made.length >= first.length;
      made = dirname(made)
    ) {
      await chmod(made, this.#modes.directory)
    }
  }

  /** Deletes a file, and the directories that become empty */
  async #delete(path: string): Promise<void> {
    const found = await lstat(path).catch(() => undefined)
    if (found === undefined || found.isDirectory()) {
      return
    }
    await rm(path, { force: true })
    if (this.#clashed) {
      this.#clashed = false
      this.#refill(false)
    }
    for (
      let directory = dirname(path);
      directory !== this.#directory && directory.startsWith(this.#directory);
      directory = dirname(directory)
    ) {
      try {
        await rmdir(directory)
      } catch {
        // it is not empty, or already gone
        return
      }
    }
  }
}

async function entriesOf(directory: string): Promise<Dirent[]> {
  return await readdir(directory, { withFileTypes: true }).catch((err: NodeJS.ErrnoException) => {
    if (err.code !== 'ENOENT') {
      throw err
    }
    return []
  })
}
