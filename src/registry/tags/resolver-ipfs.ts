import { CID } from 'multiformats/cid'
import type { ContentReader } from '../../ipfs/content-store.ts'
import type { RootReference } from '../../oci/cid.ts'
import { isTag } from '../../oci/reference.ts'
import type { RequestOptions } from '../repository.ts'
import { maxCidFileBytes } from './cid-store.ts'
import type { NameResolver, ResolverSource } from './resolver-source.ts'

export interface IpfsSourceComponents {
  content: Pick<ContentReader, 'find' | 'read' | 'list'>
  names: NameResolver
}

/** The CID or name of a directory, and a path below it */
export type IpfsSourceInit = RootReference & { path: readonly string[] }

const rawCodec = 0x55
const listConcurrency = 8

/**
 * Reads a directory in IPFS, in which `<repository>/<tag>` is a file that holds a CID. Every request resolves the name
 * of the directory again; the name resolver caches its answers.
 */
export class IpfsSource implements ResolverSource {
  readonly #components: IpfsSourceComponents
  readonly #init: IpfsSourceInit

  constructor(components: IpfsSourceComponents, init: IpfsSourceInit) {
    this.#components = components
    this.#init = init
  }

  async read(repository: string, tag: string, options: RequestOptions): Promise<string | undefined> {
    const found = await this.#find([...repository.split('/'), tag], options)
    if (found?.type !== 'file' || found.size > maxCidFileBytes) {
      return undefined
    }
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of this.#components.content.read(found.cid, options)) {
      text += decoder.decode(chunk, { stream: true })
    }
    return text
  }

  async tags(repository: string, options: RequestOptions): Promise<string[]> {
    const directory = await this.#find(repository.split('/'), options)
    if (directory?.type !== 'directory') {
      return []
    }
    const entries: Array<{ name: string; cid: string }> = []
    for await (const entry of this.#components.content.list(directory.cid, options)) {
      entries.push(entry)
    }
    const left = entries.filter(({ name }) => isTag(name)).values()
    const tags: string[] = []
    await Promise.all(
      Array.from({ length: listConcurrency }, async () => {
        for (const { name, cid } of left) {
          if (await this.#isFile(cid, options)) {
            tags.push(name)
          }
        }
      }),
    )
    return tags
  }

  /** A raw block is always a file. Any other block has to be read to find out. */
  async #isFile(cid: string, options: RequestOptions): Promise<boolean> {
    return CID.parse(cid).code === rawCodec || (await this.#components.content.find(cid, [], options))?.type === 'file'
  }

  async #find(path: readonly string[], options: RequestOptions): ReturnType<ContentReader['find']> {
    const { cid, name } = this.#init
    const root = cid === undefined ? await this.#components.names.resolve(name, options) : { cid, path: [] }
    return await this.#components.content.find(root.cid, [...root.path, ...this.#init.path, ...path], options)
  }
}
