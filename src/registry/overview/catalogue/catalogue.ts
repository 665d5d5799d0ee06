import type { Caller } from '../../../access/caller.ts'
import type { Index, TagRecord } from '../../../index/index.ts'
import type { Digest } from '../../../oci/digest.ts'
import { everything } from '../../../oci/pagination.ts'
import { sortInSlices } from '../../../scheduling/sort-in-slices.ts'
import { TimeSlice } from '../../../scheduling/time-slice.ts'
import { Ordered } from './ordered.ts'

/** How long it stays in memory after the last question; milliseconds */
const idleTime = 10 * 60 * 1000
const names = new Intl.Collator('en', { numeric: true })

export interface CatalogueTag {
  tag: string
  digest: Digest
  /** Milliseconds since 1970 */
  updated: number
}

/** The tags of a repository, newest first */
export class CatalogueEntry {
  readonly name: string
  readonly #tags = new Ordered<CatalogueTag>((a, b) => b.updated - a.updated || (a.tag < b.tag ? -1 : 1))
  /** Kept until a tag changes, as it takes long with many */
  #byName: { tags: readonly CatalogueTag[]; sorted: Promise<readonly CatalogueTag[]> } | undefined

  constructor(name: string) {
    this.name = name
  }

  /** When a tag was set last; 0 where there is none */
  get updated(): number {
    return this.tags[0]?.updated ?? 0
  }

  get tags(): readonly CatalogueTag[] {
    return this.#tags.all
  }

  /** In the order of their names, numbers by their values */
  async tagsByName(): Promise<readonly CatalogueTag[]> {
    const { tags } = this
    if (this.#byName?.tags !== tags) {
      const sorted = sortInSlices(tags, (a, b) => names.compare(a.tag, b.tag))
      this.#byName = { tags, sorted }
    }
    return await this.#byName.sorted
  }

  /** To be called when all tags have been read; none may be set meanwhile */
  async sort(): Promise<void> {
    await this.#tags.sort()
  }

  set(tag: string, record: TagRecord | undefined): void {
    if (record === undefined) {
      this.#tags.delete(tag)
    } else {
      this.#tags.set(tag, { tag, digest: record.digest, updated: Date.parse(record.updated) || 0 })
    }
  }
}

/**
 * The names of all repositories and tags, and when each tag was set: what lists and searches are answered from, however
 * many there are. It is read from the index when somebody asks for the first time, follows its changes from then on,
 * and is forgotten when nobody has asked for ten minutes, so that a registry without visitors pays nothing for it.
 */
export class Catalogue {
  readonly #index: Pick<Index, 'listen' | 'repositories' | 'tags'>
  #loaded: Promise<Ordered<CatalogueEntry>> | undefined
  #idle: NodeJS.Timeout | undefined

  constructor({ index }: { index: Pick<Index, 'listen' | 'repositories' | 'tags'> }) {
    this.#index = index
  }

  /** The repositories in which a tag was set last come first; those without a tag come last */
  async entries(): Promise<readonly CatalogueEntry[]> {
    return (await this.#entries()).all
  }

  /** Undefined where the repository has no manifest */
  async entry(name: string): Promise<CatalogueEntry | undefined> {
    return (await this.#entries()).get(name)
  }

  /** The tags that point at a manifest and that the caller may pull, newest first */
  async tagsOf(repository: string, digest: Digest, caller: Pick<Caller, 'may'>): Promise<string[]> {
    const tags = (await this.entry(repository))?.tags ?? []
    return tags.flatMap(({ digest: found, tag }) =>
      found === digest && caller.may({ action: 'pull', repository, tag }) ? tag : [],
    )
  }

  async #entries(): Promise<Ordered<CatalogueEntry>> {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => {
      this.#forget()
    }, idleTime).unref()
    this.#loaded ??= this.#load()
    return await this.#loaded
  }

  async #load(): Promise<Ordered<CatalogueEntry>> {
    const entries = new Ordered<CatalogueEntry>((a, b) => b.updated - a.updated || (a.name < b.name ? -1 : 1))
    /** What changes while it is read, which may or may not be in what is read */
    const changes: (() => void)[] = []
    let isRead = false
    const follow = (change: () => void): void => {
      if (isRead) {
        change()
      } else {
        changes.push(change)
      }
    }
    this.#index.listen({
      tag: (repository, tag, record) => {
        follow(() => {
          // only what has a manifest has a tag
          const entry = entries.get(repository) ?? (record && new CatalogueEntry(repository))
          if (entry !== undefined) {
            entry.set(tag, record)
            entries.set(repository, entry)
          }
        })
      },
      repository: (repository, isThere) => {
        follow(() => {
          if (!isThere) {
            entries.delete(repository)
          } else if (entries.get(repository) === undefined) {
            entries.set(repository, new CatalogueEntry(repository))
          }
        })
      },
    })
    try {
      await this.#read(entries)
    } catch (err) {
      this.#forget()
      throw err
    }
    for (const change of changes) {
      change()
    }
    isRead = true
    return entries
  }

  async #read(entries: Ordered<CatalogueEntry>): Promise<void> {
    const slice = new TimeSlice()
    for await (const name of this.#index.repositories(everything)) {
      const entry = new CatalogueEntry(name)
      entries.set(name, entry)
      for await (const { tag, record } of this.#index.tags(name, everything)) {
        entry.set(tag, record)
        await slice.pause()
      }
      await entry.sort()
    }
    await entries.sort()
  }

  #forget(): void {
    this.#index.listen(undefined)
    this.#loaded = undefined
  }
}
