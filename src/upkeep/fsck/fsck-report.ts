import type { BadBlock } from '../../ipfs/dag/dag-checker.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import type { EntryName, Finding } from './index-entries.ts'
import { everything } from '../../oci/pagination.ts'

/** What is listed of each kind; the rest is counted */
const maxListed = 1000

/** An image that can't be had whole */
export interface HurtImage {
  repository: string
  digest: Digest
  /** That stand for it */
  tags: string[]
  /** CIDs */
  blocks: string[]
  /** Where it is not a matter of blocks */
  problem?: string
}

/** What is wrong beside images: a blob that is in none, an upload, an entry of the index */
export interface OtherProblem {
  what: string
  blocks: string[]
  problem?: string
}

export interface FsckReport {
  images: HurtImage[]
  others: OtherProblem[]
  /** How many images and others are not listed */
  unlisted: number
}

interface Hurt {
  blocks: Set<string>
  problem?: string | undefined
}

/** Tells which images are hurt by what was found: by their own blocks, those of their blobs, and those of the images below an index */
export async function reportFsck(
  index: Pick<Index, 'links' | 'manifests' | 'repositories' | 'tags'>,
  found: ReadonlyMap<EntryName, Finding>,
): Promise<FsckReport> {
  const report: FsckReport = { images: [], others: [], unlisted: 0 }
  if (found.size === 0) {
    return report
  }
  const blobs = new Map<Digest, Hurt>()
  const manifests = new Map<string, Hurt>()
  for (const [name, { bad, problem }] of found) {
    const hurt = { blocks: new Set(bad.map(({ cid }) => cid)), problem }
    if (name.kind === 'blob') {
      blobs.set(name.digest, hurt)
    } else if (name.kind === 'manifest') {
      manifests.set(`${name.repository}:${name.digest}`, hurt)
    } else {
      add(report, report.others, { what: describe(name), ...listed(hurt) })
    }
  }
  const named = await addImages(index, report, manifests, blobs)
  await addBlobs(index, report, blobs, named)
  return report
}

/** @returns the blobs that are in an image of the report, as `<repository>:<digest>` */
async function addImages(
  index: Pick<Index, 'manifests' | 'repositories' | 'tags'>,
  report: FsckReport,
  own: ReadonlyMap<string, Hurt>,
  blobs: ReadonlyMap<Digest, Hurt>,
): Promise<Set<string>> {
  const named = new Set<string>()
  for await (const repository of index.repositories(everything)) {
    const hurt = new Map<Digest, Hurt>()
    const indexes = new Map<Digest, Digest[]>()
    for await (const { digest, record } of index.manifests(repository)) {
      // an index may list blobs too, under any media type
      const digests = [...record.blobs, ...record.manifests]
      const parts = [own.get(`${repository}:${digest}`), ...digests.map(blob => blobs.get(blob))].filter(
        part => part !== undefined,
      )
      if (parts.length > 0) {
        hurt.set(digest, {
          blocks: new Set(parts.flatMap(({ blocks }) => [...blocks])),
          problem: parts.find(({ problem }) => problem !== undefined)?.problem,
        })
        digests
          .filter(blob => blobs.has(blob))
          .forEach(blob => {
            named.add(`${repository}:${blob}`)
          })
      }
      if (record.manifests.length > 0) {
        indexes.set(digest, [...record.manifests, ...record.blobs])
      }
    }
    spread(hurt, indexes)
    const tags = await tagsOf(index, repository, hurt)
    for (const [digest, part] of hurt) {
      add(report, report.images, { repository, digest, tags: tags.get(digest) ?? [], ...listed(part) })
    }
  }
  return named
}

/** An index is hurt by what hurts the images below it; there may be several levels */
function spread(hurt: Map<Digest, Hurt>, indexes: ReadonlyMap<Digest, Digest[]>): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const [digest, children] of indexes) {
      const own = hurt.get(digest) ?? { blocks: new Set() }
      const before = own.blocks.size
      const below = children.map(child => hurt.get(child)).filter(child => child !== undefined)
      below.forEach(({ blocks }) => {
        blocks.forEach(block => {
          own.blocks.add(block)
        })
      })
      if (own.blocks.size > before || (below.length > 0 && !hurt.has(digest))) {
        hurt.set(digest, {
          ...own,
          problem: own.problem ?? below.find(({ problem }) => problem !== undefined)?.problem,
        })
        changed = true
      }
    }
  }
}

async function tagsOf(
  index: Pick<Index, 'tags'>,
  repository: string,
  hurt: ReadonlyMap<Digest, Hurt>,
): Promise<Map<Digest, string[]>> {
  const tags = new Map<Digest, string[]>()
  if (hurt.size > 0) {
    for await (const {
      tag,
      record: { digest },
    } of index.tags(repository, everything)) {
      if (hurt.has(digest)) {
        tags.set(digest, [...(tags.get(digest) ?? []), tag])
      }
    }
  }
  return tags
}

/** Blobs that no image of their repository has, and those that no repository has */
async function addBlobs(
  index: Pick<Index, 'links'>,
  report: FsckReport,
  blobs: ReadonlyMap<Digest, Hurt>,
  named: ReadonlySet<string>,
): Promise<void> {
  if (blobs.size === 0) {
    return
  }
  const linked = new Set<Digest>()
  for await (const { repository, digest } of index.links()) {
    const hurt = blobs.get(digest)
    if (hurt !== undefined) {
      linked.add(digest)
      if (!named.has(`${repository}:${digest}`)) {
        add(report, report.others, { what: `blob ${repository}@${digest}`, ...listed(hurt) })
      }
    }
  }
  for (const [digest, hurt] of blobs) {
    if (!linked.has(digest)) {
      add(report, report.others, { what: `blob ${digest} of no repository`, ...listed(hurt) })
    }
  }
}

function describe(name: Exclude<EntryName, { kind: 'blob' } | { kind: 'manifest' }>): string {
  switch (name.kind) {
    case 'link':
      return `blob ${name.repository}@${name.digest}`
    case 'tag':
      return `tag ${name.repository}:${name.tag}`
    case 'referrer':
      return `referrer ${name.repository}@${name.digest}`
    case 'repository':
      return `repository ${name.repository}`
    case 'upload':
      return `upload ${name.id} to ${name.repository}`
    case 'published':
      return 'published directory of tags'
    case 'cached':
      return `image of other nodes ${name.root}`
  }
}

function listed({ blocks, problem }: Hurt): { blocks: string[]; problem?: string } {
  return { blocks: [...blocks].slice(0, maxListed), ...(problem === undefined ? {} : { problem }) }
}

function add<T>(report: FsckReport, list: T[], item: T): void {
  if (list.length < maxListed) {
    list.push(item)
  } else {
    report.unlisted++
  }
}

/** The different blocks among what was found */
export function blocksOf(found: Iterable<Finding>): BadBlock[] {
  return [...new Map([...found].flatMap(({ bad }) => bad).map(block => [block.cid, block])).values()]
}
