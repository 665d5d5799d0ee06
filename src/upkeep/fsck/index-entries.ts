import type { ContentStore } from '../../ipfs/content-store.ts'
import type { BadBlock } from '../../ipfs/dag/dag-checker.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { everything } from '../../oci/pagination.ts'
import type { CachedImages } from '../../registry/image/cached-images.ts'
import { addImageRoot, rootLayouts } from '../../registry/image/image-root.ts'
import type { Publisher } from '../../registry/tags/publisher.ts'
import {
  checkCached,
  checkFile,
  checkManifest,
  checkPublished,
  checkReferrer,
  fine,
  refusedIsProblem,
  type CheckComponents,
  type Finding,
} from './check-content.ts'

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

export interface Entry {
  name: EntryName
  check: () => Promise<Finding>
  /** Whether the entry is still in the index. If it was deleted meanwhile, its blocks may be gone rightly. */
  isCurrent: () => Promise<boolean>
  /** Root of the file that clients read */
  file?: string
  /** Stores blocks again that can be made from the rest of the index */
  rebuild?: () => Promise<unknown>
}

export interface IndexEntriesComponents extends CheckComponents {
  index: Index
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'find' | 'list' | 'read'>
  cached: Pick<CachedImages, 'evict' | 'list'>
  publisher: Pick<Publisher, 'rebuild'>
}

/** All entries of the index that lead to something, each with its check */
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

async function* uploadEntries({ index, checker }: IndexEntriesComponents, signal: AbortSignal): AsyncGenerator<Entry> {
  for await (const { id, record } of index.uploads()) {
    yield {
      name: { kind: 'upload', repository: record.repository, id },
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
        check: async () => await checkReferrer(index, repository, subject, digest),
      }
    }
  }
}

async function* tagEntries({ index }: IndexEntriesComponents, repository: string): AsyncGenerator<Entry> {
  for await (const { tag, record } of index.tags(repository, everything)) {
    const { digest } = record
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
