import { LRUCache } from 'lru-cache'
import type { Index } from '../../../index/index.ts'
import type { Digest } from '../../../oci/digest.ts'

/** How long a client may take from a HEAD by tag to a GET of the digest that it was told, in milliseconds */
const toldFor = 10 * 60_000
const maxTold = 10_000

export interface MirroredTagsComponents {
  index: Pick<Index, 'change' | 'mirroredTag'>
}

/** When upstreams were last asked to what their tags point */
export class MirroredTags {
  readonly #components: MirroredTagsComponents
  /** To what tags pointed whose manifests were not here, by `<repository>:<tag>` */
  readonly #told = new LRUCache<string, { digest: Digest; at: number }>({ max: maxTold, ttl: toldFor })
  /** The tags that pointed to them, by `<repository>@<digest>` */
  readonly #pointing = new LRUCache<string, string>({ max: maxTold, ttl: toldFor })

  constructor(components: MirroredTagsComponents) {
    this.#components = components
  }

  /** @returns milliseconds since upstream was last asked; Infinity where it never was */
  async age(repository: string, tag: string): Promise<number> {
    const record = await this.#components.index.mirroredTag(repository, tag)
    const age = record === undefined ? Infinity : Date.now() - Date.parse(record.checked)
    // a clock that was put back must not keep a tag for ever
    return age < 0 ? Infinity : age
  }

  /**
   * To be called when upstream has told to what the tag points, and that is here
   *
   * @param at when it has, on the clock of `Date`
   */
  async checked(repository: string, tag: string, at = Date.now()): Promise<void> {
    const record = { checked: new Date(at).toISOString() }
    await this.#components.index.change().putMirroredTag(repository, tag, record).commit({ durable: false })
  }

  /** To be called when upstream has told to what the tag points, and that is not here */
  told(repository: string, tag: string, digest: Digest): void {
    this.#told.set(`${repository}:${tag}`, { digest, at: Date.now() })
    this.#pointing.set(`${repository}@${digest}`, tag)
  }

  /**
   * The tag by which a client has come to a digest: containerd asks for a tag by HEAD alone, and then for the digest
   *
   * @returns undefined where there is none, or upstream was asked about the tag again since
   */
  async pointingTo(repository: string, digest: Digest): Promise<{ tag: string; at: number } | undefined> {
    const tag = this.#pointing.get(`${repository}@${digest}`)
    const told = tag === undefined ? undefined : this.#told.get(`${repository}:${tag}`)
    if (tag === undefined || told?.digest !== digest) {
      return undefined
    }
    const { at } = told
    return (await this.age(repository, tag)) > Date.now() - at ? { tag, at } : undefined
  }

  /** To be called when upstream no longer has the tag */
  async gone(repository: string, tag: string): Promise<void> {
    this.#told.delete(`${repository}:${tag}`)
    await this.#components.index.change().deleteMirroredTag(repository, tag).commit({ durable: false })
  }
}
