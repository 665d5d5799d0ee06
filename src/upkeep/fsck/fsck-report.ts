import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Finding } from './check-content.ts'
import type { EntryName } from './index-entries.ts'
import { everything } from '../../oci/pagination.ts'

/** Entries of each list; the rest is only counted */
const maxListed = 1000

/** An image that clients can't pull whole */
export interface AffectedImage {
  repository: string
  digest: Digest
  /** Tags that point at it */
  tags: string[]
  /** CIDs of its missing and damaged blocks */
  blocks: string[]
  /** What else is wrong */
  problem?: string
}

/** A problem that affects no image: a blob that is in none, an upload, an entry of the index */
export interface OtherProblem {
  what: string
  blocks: string[]
  problem?: string
}

export interface FsckReport {
  images: AffectedImage[]
  others: OtherProblem[]
  /** Number of images and other problems that are not listed */
  unlisted: number
}

interface Damage {
  blocks: Set<string>
  problem?: string | undefined
}

/**
 * Finds out which images are affected: by their own blocks, those of their blobs, or those of the images below an index
 */
export async function reportFsck(
  index: Pick<Index, 'links' | 'manifests' | 'repositories' | 'tags'>,
  found: ReadonlyMap<EntryName, Finding>,
): Promise<FsckReport> {
  const report: FsckReport = { images: [], others: [], unlisted: 0 }
  if (found.size === 0) {
    return report
  }
  const blobs = new Map<Digest, Damage>()
  const manifests = new Map<string, Damage>()
  for (const [name, { bad, problem }] of found) {
    const affected = { blocks: new Set(bad.map(({ cid }) => cid)), problem }
    if (name.kind === 'blob') {
      blobs.set(name.digest, affected)
    } else if (name.kind === 'manifest') {
      manifests.set(`${name.repository}:${name.digest}`, affected)
    } else {
      add(report, report.others, { what: describe(name), ...listed(affected) })
    }
  }
  const named = await addImages(index, report, manifests, blobs)
  await addBlobs(index, report, blobs, named)
  return report
}

/**
 * Adds the affected images of all repositories
 *
 * @returns the blobs that are in one of them, as `<repository>:<digest>`
 */
async function addImages(
  index: Pick<Index, 'manifests' | 'repositories' | 'tags'>,
  report: FsckReport,
  own: ReadonlyMap<string, Damage>,
  blobs: ReadonlyMap<Digest, Damage>,
): Promise<Set<string>> {
  const named = new Set<string>()
  for await (const repository of index.repositories(everything)) {
    const affected = new Map<Digest, Damage>()
    const indexes = new Map<Digest, Digest[]>()
    for await (const { digest, record } of index.manifests(repository)) {
      // an index may list blobs too
      const digests = [...record.blobs, ...record.manifests]
      const parts = [own.get(`${repository}:${digest}`), ...digests.map(blob => blobs.get(blob))].filter(
        part => part !== undefined,
      )
      if (parts.length > 0) {
        affected.set(digest, {
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
    spread(affected, indexes)
    const tags = await tagsOf(index, repository, affected)
    for (const [digest, part] of affected) {
      add(report, report.images, { repository, digest, tags: tags.get(digest) ?? [], ...listed(part) })
    }
  }
  return named
}

/** Passes on to each index what affects the images below it; there may be several levels */
function spread(affected: Map<Digest, Damage>, indexes: ReadonlyMap<Digest, Digest[]>): void {
  for (let changed = true; changed; ) {
    changed = false
    for (const [digest, children] of indexes) {
      const own = affected.get(digest) ?? { blocks: new Set() }
      const before = own.blocks.size
      const below = children.map(child => affected.get(child)).filter(child => child !== undefined)
      below.forEach(({ blocks }) => {
        blocks.forEach(block => {
          own.blocks.add(block)
        })
      })
      if (own.blocks.size > before || (below.length > 0 && !affected.has(digest))) {
        affected.set(digest, {
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
  affected: ReadonlyMap<Digest, Damage>,
): Promise<Map<Digest, string[]>> {
  const tags = new Map<Digest, string[]>()
  if (affected.size > 0) {
    for await (const {
      tag,
      record: { digest },
    } of index.tags(repository, everything)) {
      if (affected.has(digest)) {
        tags.set(digest, [...(tags.get(digest) ?? []), tag])
      }
    }
  }
  return tags
}

/** Adds blobs that are in no image of their repository, and blobs that are in no repository */
async function addBlobs(
  index: Pick<Index, 'links'>,
  report: FsckReport,
  blobs: ReadonlyMap<Digest, Damage>,
  named: ReadonlySet<string>,
): Promise<void> {
  if (blobs.size === 0) {
    return
  }
  const linked = new Set<Digest>()
  for await (const { repository, digest } of index.links()) {
    const affected = blobs.get(digest)
    if (affected !== undefined) {
      linked.add(digest)
      if (!named.has(`${repository}:${digest}`)) {
        add(report, report.others, { what: `blob ${repository}@${digest}`, ...listed(affected) })
      }
    }
  }
  for (const [digest, affected] of blobs) {
    if (!linked.has(digest)) {
      add(report, report.others, { what: `blob ${digest} of no repository`, ...listed(affected) })
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

function listed({ blocks, problem }: Damage): { blocks: string[]; problem?: string } {
  return { blocks: [...blocks].slice(0, maxListed), ...(problem === undefined ? {} : { problem }) }
}

function add<T>(report: FsckReport, list: T[], item: T): void {
  if (list.length < maxListed) {
    list.push(item)
  } else {
    report.unlisted++
  }
}
