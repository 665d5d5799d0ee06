import type { Caller } from '../../access/caller.ts'
import type { Digest } from '../../oci/digest.ts'
import { matchesPlatform, readPlatform, type Platform } from '../../oci/manifest/platform.ts'
import type { CatalogueEntry } from './catalogue/catalogue.ts'
import type { ImageFacts } from './image-facts.ts'

/** Names of tags that a repository is found by, which a list shows */
const maxShown = 5

/** What somebody searches for */
export interface Search {
  /** A part of a name, of a tag, or of both as `<name>:<tag>` in lower case; empty: all */
  text: string
  /** What images have to be like; undefined where only names count */
  filter: Filter | undefined
}

export interface Filter {
  platforms: Platform[]
  annotations: (readonly [name: string, value: string])[]
}

/** No tag has a slash or an equals sign, so that neither can be a repository with a tag */
const condition = /(?<!\S)(?:platform:([^\s"]+\/[^\s"]+)|annotation:([^\s="]+)=(?:"([^"]*)"|([^\s"]*)))(?!\S)/gi

/** Reads `app:v1 platform:linux/arm64 annotation:<name>=<value>`, the value in quotation marks where it has spaces */
export function parseSearch(search: string): Search {
  const filter: Filter = { platforms: [], annotations: [] }
  const text = search.replace(condition, (whole, platform, name, quoted, plain) => {
    const wanted = platform === undefined ? undefined : readPlatform(String(platform).toLowerCase())
    if (wanted !== undefined) {
      filter.platforms.push(wanted)
    } else if (name !== undefined) {
      filter.annotations.push([String(name), String(quoted ?? plain)])
    } else {
      return String(whole)
    }
    return ''
  })
  const isFilter = filter.platforms.length + filter.annotations.length > 0
  return { text: text.trim().toLowerCase(), filter: isFilter ? filter : undefined }
}

/** Whether an image is for all these platforms and has all these annotations */
export function fits({ annotations, platforms }: ImageFacts, filter: Filter): boolean {
  return (
    filter.platforms.every(wanted => platforms.some(platform => matchesPlatform(platform, wanted))) &&
    filter.annotations.every(([name, value]) => annotations.get(name) === value)
  )
}

/** @returns for a repository: what a tag has to have in its name; undefined where no tag of it can be meant */
function tagTextOf(text: string): (repository: string) => string | undefined {
  const colon = text.lastIndexOf(':')
  return repository =>
    colon < 0
      ? repository.includes(text)
        ? ''
        : text
      : repository.includes(text.slice(0, colon))
        ? text.slice(colon + 1)
        : undefined
}

/** @returns for a repository that is found: the first tags by which it is, none where its name is enough */
export type Matcher = (entry: CatalogueEntry) => string[] | undefined

export function matcherOf(text: string, caller: Pick<Caller, 'may'>): Matcher {
  const textFor = tagTextOf(text)
  const isOfNames = !text.includes(':')
  return entry => {
    const wanted = textFor(entry.name)
    if (wanted === undefined || (isOfNames && wanted === '')) {
      return wanted === undefined ? undefined : []
    }
    const found: string[] = []
    for (const { tag } of entry.tags) {
      if (tag.toLowerCase().includes(wanted) && caller.may({ action: 'pull', repository: entry.name, tag })) {
        found.push(tag)
      }
      if (found.length === maxShown) {
        break
      }
    }
    return found.length === 0 ? undefined : found
  }
}

/** The same by what images are like, which each has to be looked at for */
export async function filteredTags(
  entry: CatalogueEntry,
  text: string,
  caller: Pick<Caller, 'may'>,
  isFound: (repository: string, digest: Digest) => Promise<boolean>,
): Promise<string[] | undefined> {
  const wanted = tagTextOf(text)(entry.name)
  const found: string[] = []
  for (const item of wanted === undefined ? [] : entry.tags) {
    const { digest, tag } = item
    if (
      tag.toLowerCase().includes(wanted!) &&
      caller.may({ action: 'pull', repository: entry.name, tag }) &&
      (await isFound(entry.name, digest))
    ) {
      found.push(tag)
    }
    if (found.length === maxShown) {
      break
    }
  }
  return found.length === 0 ? undefined : found
}
