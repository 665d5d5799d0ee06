import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { everything, type Page } from '../../oci/pagination.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { pastState, type PastState } from './past-state.ts'

export interface PastTagsComponents {
  index: Index
  history: HistoryIndex
  links: Pick<LinkGuard, 'repositories'>
}

/** A tag as it was in an earlier state */
export interface PastTag {
  tag: string
  digest: Digest
  /** CID of the image root; absent where the history does not know it */
  cid?: string | undefined
  /** Whether the repository has lost the image since, so that only `ipdr pull --at` gets it until that is undone */
  deleted: boolean
}

export interface PastTagList {
  repository: string
  state: number
  tags: PastTag[]
  /** Whether there are more tags after these */
  more: boolean
}

export interface PastTagsInit {
  repository: string
  /** @default all */
  tag?: string | undefined
  page: Page
}

/** Reads which tags a repository had in an earlier state, and what they pointed at */
export class PastTags {
  readonly #components: PastTagsComponents

  constructor(components: PastTagsComponents) {
    this.#components = components
  }

  /**
   * The tags of a state, by name
   *
   * @throws OciError REQUEST_INVALID where the state is not known
   */
  async list(state: number, { page, repository, tag }: PastTagsInit): Promise<PastTagList> {
    const { history, links } = this.#components
    // what is there now and what has changed since belong together
    return await links.repositories.run(repository, async () => {
      const past = await pastState(history, repository, state)
      const digests = await this.#digests(repository, tag, page.last)
      for (const [name, before] of past.tags) {
        if (before === undefined) {
          digests.delete(name)
        } else {
          digests.set(name, before.digest)
        }
      }
      const names = [...digests.keys()]
        .filter(name => (tag === undefined || name === tag) && (page.last === undefined || name > page.last))
        .sort()
      const tags: PastTag[] = []
      for (const name of names.slice(0, page.limit < 0 ? undefined : page.limit)) {
        tags.push({ tag: name, ...(await this.#manifest(repository, digests.get(name)!, past)) })
      }
      return { repository, state, tags, more: names.length > tags.length }
    })
  }

  /** What the tags of now point at */
  async #digests(repository: string, tag: string | undefined, last: string | undefined): Promise<Map<string, Digest>> {
    const { index } = this.#components
    if (tag !== undefined) {
      const record = await index.tag(repository, tag)
      return new Map(record === undefined ? [] : [[tag, record.digest]])
    }
    const digests = new Map<string, Digest>()
    for await (const { record, tag: name } of index.tags(repository, { ...everything, last })) {
      digests.set(name, record.digest)
    }
    return digests
  }

  async #manifest(repository: string, digest: Digest, past: PastState): Promise<Omit<PastTag, 'tag'>> {
    const now = await this.#components.index.manifest(repository, digest)
    const cid = past.manifests.get(digest)?.record.root ?? now?.root
    return { digest, cid, deleted: now === undefined || now.root !== cid }
  }
}
