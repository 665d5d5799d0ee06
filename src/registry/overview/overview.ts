/**
 * `registry/overview` is what people look at: lists and searches of everything that one caller may pull, and the parts
 * of one image. It reads what is here, asks no other node or registry, and changes nothing. It may import every other
 * room of the registry.
 *
 * - `overview.ts` (begin here): the questions
 * - `filter.ts`, `image-facts.ts`: what is searched for; `comparison.ts`: two images beside each other
 * - `tag-details.ts`: what a list of many tags says of each
 * - `files/`: the files in layers
 * - `content/`: `summary.ts`: one line of a list; `image-details.ts`, `image-config.ts`: one image
 * - `catalogue/`: all names in memory, as long as somebody looks, and what is found by one
 */
import type { Caller } from '../../access/caller.ts'
import type { Index } from '../../index/index.ts'
import { OciError } from '../../oci/errors.ts'
import type { Page } from '../../oci/pagination.ts'
import type { Reference } from '../../oci/reference.ts'
import type { SignaturePolicy } from '../signatures/signature-policy.ts'
import { TimeSlice } from '../../scheduling/time-slice.ts'
import { ImageFiles } from './files/image-files.ts'
import { compareImages, type Comparison } from './comparison.ts'
import { Catalogue, type CatalogueEntry, type CatalogueTag } from './catalogue/catalogue.ts'
import { filteredTags, matcherOf, parseSearch, type Matcher } from './filter.ts'
import { ImageSearches } from './image-facts.ts'
import { ImageReader, type ImageContent, type ImageDetails } from './content/image-details.ts'
import { Locator, type Place } from './catalogue/locator.ts'
import { tagDetails, type TagDetails } from './tag-details.ts'
import { visibleTags } from './catalogue/visible-tags.ts'
import { Summaries, type SummariesComponents, type Summary } from './content/summary.ts'

export interface OverviewComponents extends SummariesComponents {
  index: Index
  /** @default nothing is said of signatures */
  signatures?: Pick<SignaturePolicy, 'note'> | undefined
}

/** A part of a list that is counted from 0 */
export interface Part {
  from: number
  limit: number
}

export interface PartOf<T> {
  items: T[]
  /** Of all parts together */
  total: number
  /** Images that were not looked at, as that would take too long; the same question again goes on with them */
  unsearched?: number
}

export interface TagLine extends Partial<Summary> {
  tag: string
  /** When it was set last; ISO 8601 */
  updated: string
}

export interface RepositoryLine {
  name: string
  /** How many there are */
  tags: number
  newest: TagLine | undefined
  /** The first tags that are what was searched for, where the name is not */
  found: string[]
}

/** Repositories whose names begin in the same way */
export interface FolderLine {
  /** What their names begin with, such as `team/` */
  folder: string
  /** How many there are */
  repositories: number
  /** When a tag of one of them was set last; ISO 8601 */
  updated: string
}

export interface RepositoriesQuestion extends Part {
  /** A part of a name, of a tag, or of both as `<name>:<tag>`, and conditions on images (filter.ts); empty: all */
  search: string
  /** Those below a folder such as `team/`, or for `/` all, each folder in it as one line; empty: without folders */
  folder: string
}

export interface TagsQuestion extends Part {
  repository: string
  search: string
  order: 'newest' | 'name'
}

export interface NamedImage {
  repository: string
  reference: Reference
}

export class Overview {
  /** The files in layers */
  readonly files: ImageFiles
  readonly #catalogue: Catalogue
  readonly #summaries: Summaries
  readonly #images: ImageReader
  readonly #searches: ImageSearches
  readonly #locator: Locator
  readonly #index: Index

  constructor(components: OverviewComponents) {
    const catalogue = new Catalogue(components)
    const summaries = new Summaries(components)
    this.#index = components.index
    this.files = new ImageFiles(components)
    this.#catalogue = catalogue
    this.#summaries = summaries
    this.#images = new ImageReader({ ...components, catalogue, summaries })
    this.#searches = new ImageSearches({ images: this.#images })
    this.#locator = new Locator({ ...components, catalogue })
  }

  /** Repositories, and folders of them, newest first */
  async repositories(
    question: RepositoriesQuestion,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<PartOf<RepositoryLine | FolderLine>> {
    caller.requireCatalog()
    const { filter, text } = parseSearch(question.search)
    if (filter === undefined) {
      const found = await this.#find(question, matcherOf(text, caller), caller, signal)
      return await this.#lines(found, question, caller, signal)
    }
    const { found, unsearched } = await this.#searches.run(filter, signal, async search => {
      const matches = async (entry: CatalogueEntry): Promise<string[] | undefined> =>
        await filteredTags(entry, text, caller, search.fits)
      const found = await this.#find(question, matches, caller, signal)
      return { found, unsearched: search.unsearched }
    })
    return { ...(await this.#lines(found, question, caller, signal)), unsearched }
  }

  async #find(
    { folder }: RepositoriesQuestion,
    matches: (entry: CatalogueEntry) => ReturnType<Matcher> | Promise<ReturnType<Matcher>>,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<Map<string, Found>> {
    const above = folder === '/' ? '' : folder
    const found = new Map<string, Found>()
    const slice = new TimeSlice()
    for (const entry of await this.#catalogue.entries()) {
      const { name } = entry
      const tags = name.startsWith(above) && caller.sees(name) ? await matches(entry) : undefined
      if (tags !== undefined) {
        const end = folder === '' ? -1 : name.indexOf('/', above.length)
        const key = end < 0 ? name : name.slice(0, end + 1)
        const line = found.get(key)
        // the first of a folder is the newest
        found.set(key, line === undefined ? { entry, tags, count: 1 } : { ...line, count: line.count + 1 })
      }
      await slice.pause()
      signal.throwIfAborted()
    }
    return found
  }

  async #lines(
    found: ReadonlyMap<string, Found>,
    { from, limit }: Part,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<PartOf<RepositoryLine | FolderLine>> {
    const items = await Promise.all(
      [...found]
        .slice(from, from + limit)
        .map(async ([key, { count, entry, tags }]) =>
          key.endsWith('/')
            ? { folder: key, repositories: count, updated: new Date(entry.updated).toISOString() }
            : await this.#repositoryLine(entry, tags, caller, signal),
        ),
    )
    return { items, total: found.size }
  }

  /**
   * Tags of one repository
   *
   * @throws OciError UNAUTHORIZED, DENIED; NAME_UNKNOWN where it has no manifest
   */
  async tags(question: TagsQuestion, caller: Caller, signal: AbortSignal): Promise<PartOf<TagLine>> {
    const { from, limit, order, repository, search } = question
    caller.require({ action: 'pull', repository })
    const entry = await this.#catalogue.entry(repository)
    if (entry === undefined) {
      throw new OciError('NAME_UNKNOWN', { detail: { name: repository } })
    }
    const { filter, text } = parseSearch(search)
    const all = await visibleTags(entry.name, order === 'newest' ? entry.tags : await entry.tagsByName(), caller)
    const visible = text === '' ? all : all.filter(({ tag }) => tag.toLowerCase().includes(text))
    const { found, unsearched } =
      filter === undefined
        ? { found: visible, unsearched: undefined }
        : await this.#searches.run(filter, signal, async search => {
            const found = []
            for (const item of visible) {
              if (await search.fits(repository, item.digest)) {
                found.push(item)
              }
            }
            return { found, unsearched: search.unsearched }
          })
    const items = await Promise.all(
      found.slice(from, from + limit).map(async tag => await this.#tagLine(repository, tag, signal)),
    )
    return { items, total: found.length, ...(unsearched === undefined ? {} : { unsearched }) }
  }

  /**
   * Details of the tags of a page that the caller may pull, and whose images are here as a whole
   *
   * @throws OciError UNAUTHORIZED, DENIED
   */
  async details(repository: string, page: Page, caller: Caller, signal: AbortSignal): Promise<Map<string, TagDetails>> {
    caller.require({ action: 'pull', repository })
    const isWanted = (tag: string): boolean => caller.may({ action: 'pull', repository, tag })
    return await tagDetails(this.#index, { repository, page, isWanted }, signal)
  }

  /**
   * One image with everything that a page shows of it
   *
   * @throws OciError UNAUTHORIZED, DENIED, MANIFEST_UNKNOWN; UNAVAILABLE where its blocks are missing or damaged
   */
  async image(repository: string, reference: Reference, caller: Caller, signal: AbortSignal): Promise<ImageDetails> {
    caller.require({ action: 'pull', repository, tag: reference.tag })
    return await this.#images.read(repository, reference, caller, signal)
  }

  /**
   * What images are made of
   *
   * @throws OciError as {@link image}, where the caller may not pull one of them or one is not here
   */
  async contents(images: readonly NamedImage[], caller: Caller, signal: AbortSignal): Promise<ImageContent[]> {
    // before anything is read: what a caller may not pull is as unknown to him as elsewhere
    for (const { reference, repository } of images) {
      caller.require({ action: 'pull', repository, tag: reference.tag })
    }
    const contents: ImageContent[] = []
    for (const { reference, repository } of images) {
      contents.push(await this.#images.content(repository, reference, signal))
    }
    return contents
  }

  /**
   * What two images have in common, and what not
   *
   * @throws OciError as {@link contents}
   */
  async compare(images: readonly NamedImage[], caller: Caller, signal: AbortSignal): Promise<Comparison> {
    const [first, second] = await this.contents(images, caller, signal)
    return compareImages(first!, second!)
  }

  /**
   * Where something is that a digest or CID names
   *
   * @returns undefined where the text is neither
   */
  async find(text: string, caller: Caller, signal: AbortSignal): Promise<Place[] | undefined> {
    caller.requireCatalog()
    return await this.#locator.find(text, caller, signal)
  }

  async #repositoryLine(
    entry: CatalogueEntry,
    found: string[],
    caller: Caller,
    signal: AbortSignal,
  ): Promise<RepositoryLine> {
    const tags = await visibleTags(entry.name, entry.tags, caller)
    const [newest] = tags
    return {
      name: entry.name,
      tags: tags.length,
      newest: newest && (await this.#tagLine(entry.name, newest, signal)),
      found,
    }
  }

  async #tagLine(repository: string, { digest, tag, updated }: CatalogueTag, signal: AbortSignal): Promise<TagLine> {
    const summary = await this.#summaries.of(repository, digest, signal)
    return { tag, updated: new Date(updated).toISOString(), ...summary }
  }
}

interface Found {
  entry: CatalogueEntry
  /** By which it was found */
  tags: string[]
  count: number
}
