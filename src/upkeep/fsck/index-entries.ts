import { isDeepStrictEqual } from 'node:util'
import type { BadBlock, DagChecker } from '../../ipfs/dag/dag-checker.ts'
import { parseCid } from '../../ipfs/blocks/block-cid.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { BlobRecord, Index, ManifestRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import { algorithmOf, type Digest } from '../../oci/digest.ts'
import { parseStoredManifest } from '../../oci/manifest.ts'
import type { CachedImages } from '../../registry/image/cached-images.ts'
import { addImageRoot, rootLayouts } from '../../registry/image/image-root.ts'
import { manifestRecord } from '../../registry/manifest-record.ts'
import { publishedImages } from '../../registry/tags/published-tags.ts'
import type { Publisher } from '../../registry/tags/publisher.ts'
import { readWhole } from '../../registry/read-content.ts'
import { everything } from '../../oci/pagination.ts'

/** What an entry of the index is about */
export type EntryName =
  | { kind: 'blob'; digest: Digest }
  | { kind: 'link'; repository: string; digest: Digest }
  | { kind: 'manifest'; repository: string; digest: Digest }
  | { kind: 'tag'; repository: string; tag: string }
  | { kind: 'referrer'; repository: string; subject: Digest; digest: Digest }
  | { kind: 'repository'; repository: string }
  | { kind: 'upload'; repository: string; id: string }
  | { kind: 'published' }
  | { kind: 'cached'; root: string }

/** What is wrong with an entry */
export interface Finding {
  /** Blocks that it leads to */
  bad: BadBlock[]
  /** Where it is not a matter of blocks */
  problem?: string | undefined
}

export interface Entry {
  name: EntryName
  check: () => Promise<Finding>
  /** Whether it is in the index as it was: what was deleted meanwhile may have lost its blocks */
  isCurrent: () => Promise<boolean>
  /** Root of the file that clients read */
  file?: string
  /** Stores anew what of it can be made of the rest of the index */
  rebuild?: () => Promise<unknown>
}

export interface IndexEntriesComponents {
  index: Index
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'find' | 'list' | 'read'>
  cached: Pick<CachedImages, 'evict' | 'list'>
  publisher: Pick<Publisher, 'rebuild'>
  checker: DagChecker
  log: Logger
}

/** Of a CID in the log */
const maxShown = 100
const fine: Finding = { bad: [] }

/** All entries of the index that lead to something, with how each is checked */
export async function* indexEntries(components: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  for await (const entry of allEntries(components, signal)) {
    yield { ...entry, check: async () => await refusedIsProblem(entry.check()) }
  }
}

async function* allEntries(components: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  yield* uploadEntries(components, signal)
  yield* blobEntries(components, signal)
  yield* linkEntries(components)
  for await (const repository of components.index.repositories(everything)) {
    yield* manifestEntries(components, repository, signal)
    yield* tagEntries(components, repository)
    yield repositoryEntry(components, repository)
  }
  yield* cachedEntries(components, signal)
  yield* publishedEntry(components, signal)
}

/** What can't be walked is one entry's problem, and the check goes on */
async function refusedIsProblem(finding: Promise<Finding>): Promise<Finding> {
  try {
    return await finding
  } catch (err) {
    if ((err as Error).name !== 'RefusedDagError') {
      throw err
    }
    return { bad: [], problem: (err as Error).message }
  }
}

async function* uploadEntries({ index, checker }: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  for await (const {
    id,
    record: { repository },
  } of index.uploads()) {
    yield {
      name: { kind: 'upload', repository, id },
      check: async () => {
        const tail = (await index.upload(id))?.tail
        const bad: BadBlock[] = []
        for (const cid of [...(await index.uploadLeaves(id)), ...(tail === undefined ? [] : [tail])]) {
          bad.push(...(await checker.dag(cid, { signal })))
        }
        return { bad }
      },
      isCurrent: async () => (await index.upload(id)) !== undefined,
    }
  }
}

async function* blobEntries({ index, checker }: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  for await (const { digest, record } of index.blobs()) {
    yield {
      name: { kind: 'blob', digest },
      file: record.cid,
      check: async () => await checkFile(checker, digest, record, signal),
      isCurrent: async () => (await index.blob(digest))?.cid === record.cid,
    }
  }
}

async function* linkEntries({ index }: IndexEntriesComponents): AsyncGenerator<Entry> {
  for await (const { repository, digest } of index.links()) {
    yield {
      name: { kind: 'link', repository, digest },
      check: async () =>
        (await index.blob(digest)) === undefined ? { bad: [], problem: 'there is no such blob' } : fine,
      isCurrent: async () => await index.isLinked(repository, digest),
    }
  }
}

async function* manifestEntries(
  components: IndexEntriesComponents,
  repository: string,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  const { index } = components
  for await (const { digest, record } of index.manifests(repository)) {
    const isCurrent = async (): Promise<boolean> => (await index.manifest(repository, digest))?.root === record.root
    yield {
      name: { kind: 'manifest', repository, digest },
      file: record.cid,
      check: async () => await checkManifest(components, digest, record, signal),
      isCurrent,
      rebuild: async () => {
        for (const layout of rootLayouts) {
          if ((await addImageRoot(components, repository, { digest, ...record }, layout)) === record.root) {
            return
          }
        }
      },
    }
    const { subject } = record
    if (subject !== undefined) {
      yield {
        name: { kind: 'referrer', repository, subject, digest },
        isCurrent,
        check: async () =>
          (await hasReferrer(index, repository, subject, digest))
            ? fine
            : { bad: [], problem: 'is not among the referrers of its subject' },
      }
    }
  }
}

async function* tagEntries({ index }: IndexEntriesComponents, repository: string): AsyncGenerator<Entry> {
  for await (const {
    tag,
    record: { digest },
  } of index.tags(repository, everything)) {
    yield {
      name: { kind: 'tag', repository, tag },
      check: async () =>
        (await index.manifest(repository, digest)) === undefined
          ? { bad: [], problem: `there is no manifest ${digest}` }
          : fine,
      isCurrent: async () => (await index.tag(repository, tag))?.digest === digest,
    }
  }
}

function repositoryEntry({ index }: IndexEntriesComponents, repository: string): Entry {
  return {
    name: { kind: 'repository', repository },
    check: async () => {
      for await (const _ of index.manifests(repository)) {
        return fine
      }
      return { bad: [], problem: 'has no manifest' }
    },
    isCurrent: async () => await index.hasRepository(repository),
  }
}

/** Of other nodes' images some blocks are here: what is missing is fetched when somebody asks for it */
async function* cachedEntries(components: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  const { index, cached } = components
  for (const { root } of await cached.list()) {
    yield {
      name: { kind: 'cached', root },
      check: async () => await checkCached(components, root, signal),
      isCurrent: async () => (await Array.fromAsync(index.cached())).some(other => other.root === root),
    }
  }
}

/** One that can't be walked is of no use, and harms nothing else */
async function checkCached(
  { cached, checker, log }: IndexEntriesComponents,
  root: string,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    return { bad: (await checker.dag(root, { signal })).filter(({ problem }) => problem === 'damaged') }
  } catch (err) {
    if ((err as Error).name !== 'RefusedDagError') {
      throw err
    }
    log.warn("image of other nodes dropped, as it can't be walked", {
      cid: root.slice(0, maxShown),
      reason: (err as Error).message,
    })
    await cached.evict(root)
    return fine
  }
}

async function* publishedEntry(components: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  const { index } = components
  const root = (await index.published())?.root
  if (root !== undefined) {
    yield {
      name: { kind: 'published' },
      check: async () => ({ bad: await checkPublished(components, root, signal) }),
      isCurrent: async () => (await index.published())?.root === root,
      rebuild: async () => {
        await components.publisher.rebuild()
      },
    }
  }
}

/** The images that the directory links to may be gone by now. Which these are is known only where its own files are right. */
async function checkPublished(
  { content, checker }: IndexEntriesComponents,
  root: string,
  signal: AbortSignal,
): Promise<BadBlock[]> {
  const own = await checker.block(parseCid(root), { signal })
  if (own !== undefined) {
    return [own]
  }
  for await (const { name, cid } of content.list(root, { signal })) {
    const bad = name === 'cids' ? await checker.dag(cid, { signal }) : []
    if (bad.length > 0) {
      return bad
    }
  }
  return await checker.dag(root, { signal, except: await publishedImages(content, root, { signal }) })
}

async function checkFile(
  checker: DagChecker,
  digest: Digest,
  record: Pick<BlobRecord, 'cid' | 'size'>,
  signal: AbortSignal,
): Promise<Finding> {
  const file = await checker.file(record.cid, algorithmOf(digest), { signal })
  if (file.bad.length > 0) {
    return { bad: file.bad }
  }
  if (file.digest !== digest) {
    return { bad: [], problem: `its bytes have the digest ${file.digest}` }
  }
  return file.size === record.size ? fine : { bad: [], problem: `has ${file.size} bytes instead of ${record.size}` }
}

async function checkManifest(
  { checker, content }: IndexEntriesComponents,
  digest: Digest,
  record: ManifestRecord,
  signal: AbortSignal,
): Promise<Finding> {
  const own = await checkFile(checker, digest, record, signal)
  const root = await checker.dag(record.root, { signal })
  const bad = [...new Map([...own.bad, ...root].map(block => [block.cid, block])).values()]
  if (bad.length > 0 || own.problem !== undefined) {
    return { ...own, bad }
  }
  const { root: _root, updated: _updated, ...known } = record
  const manifest = parseStoredManifest(await readWhole(content, record, { signal }), record.mediaType)
  const { subject, ...expected } = manifestRecord(manifest, record)
  // the index does not keep what is undefined
  return isDeepStrictEqual({ subject, ...known }, { subject, ...expected }) && known.subject === subject
    ? fine
    : { bad: [], problem: 'the index does not say what the manifest says' }
}

async function hasReferrer(index: Index, repository: string, subject: Digest, digest: Digest): Promise<boolean> {
  for await (const descriptor of index.referrers(repository, subject, everything)) {
    if (descriptor.digest === digest) {
      return true
    }
  }
  return false
}
