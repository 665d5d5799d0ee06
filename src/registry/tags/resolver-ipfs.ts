import { CID } from 'multiformats/cid'
import type { ContentReader } from '../../ipfs/content-store.ts'
import type { RootReference } from '../../oci/cid.ts'
import { isTag } from '../../oci/reference.ts'
import type { RequestOptions } from '../repository.ts'
import type { NameResolver, ResolverSource } from './resolver-source.ts'

export interface IpfsSourceComponents {
  content: Pick<ContentReader, 'find' | 'read' | 'list'>
  names: NameResolver
}

/** A CID or a name, and a path below it */
export type IpfsSourceInit = RootReference & { path: readonly string[] }

/** More than any CID has */
const maxBytes = 1024
const rawCodec = 0x55
const listConcurrency = 8

/** A directory in IPFS: `<repository>/<tag>` below it is a file that holds a CID. A name is followed for each request; it keeps its answers. */
export class IpfsSource implements ResolverSource {
  readonly #components: IpfsSourceComponents
  readonly #init: IpfsSourceInit

  constructor(components: IpfsSourceComponents, init: IpfsSourceInit) {
    this.#components = components
    this.#init = init
  }

  async read(repository: string, tag: string, options: RequestOptions): Promise<string | undefined> {
    const found = await this.#find([...repository.split('/'), tag], options)
    if (found?.type !== 'file' || found.size > maxBytes) {
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

  /** A raw block is a file for sure; of another one only its bytes tell */
  async #isFile(cid: string, options: RequestOptions): Promise<boolean> {
    return CID.parse(cid).code === rawCodec || (await this.#components.content.find(cid, [], options))?.type === 'file'
  }

  async #find(path: readonly string[], options: RequestOptions): ReturnType<ContentReader['find']> {
    const { cid, name } = this.#init
    const root = cid === undefined ? await this.#components.names.resolve(name, options) : { cid, path: [] }
    return await this.#components.content.find(root.cid, [...root.path, ...this.#init.path, ...path], options)
  }
}
