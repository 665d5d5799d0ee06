import { algorithmOf, type Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/manifest.ts'
import type { ContentReader, ContentStore } from '../ipfs/content-store.ts'
import type { BlobRecord, Index, IndexChange, ManifestRecord } from '../index/index.ts'
import type { FoundImages } from './found-images.ts'
import { findBlob, readManifest, type LayoutManifest } from './image-layout.ts'
import { addImageRoot } from './image-root.ts'
import { manifestRecord, referrerDescriptor } from './manifest-record.ts'
import { digestOfContent } from './read-content.ts'

export interface ImageRestorerComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory'>
  index: Index
  /** Compares every block with its CID */
  reader: ContentReader
  found: FoundImages
}

/** What could not be restored, and why */
export interface RestoreProblem {
  repository?: string | undefined
  tag?: string | undefined
  digest?: Digest | undefined
  cid?: string | undefined
  reason: string
}

/** An image as it is to get into a repository */
export interface RestoredImage {
  /** Not committed yet */
  change: IndexChange
  /** With everything that comes with it: what an index lists, and what names one of them as its subject */
  manifests: Set<Digest>
  /** Of manifests and blobs, those that the repository did not have */
  added: { manifests: number, blobs: number }
  problems: RestoreProblem[]
  /** Whether all problems are blocks that are not here */
  isPartial: boolean
}

/** A manifest on its way into a repository */
interface Wanted {
  digest: Digest
  mediaType: string
  /** A root that leads to the manifest and its blobs */
  place: string
  /** The manifest's own root; undefined where it has none here */
  root?: string | undefined
}

interface Work extends RestoredImage {
  repository: string
  signal: AbortSignal
  blobs: Map<Digest, BlobRecord>
  records: Map<Digest, ManifestRecord>
}

/** Reads an image below its root, compares all of it with its digests, and makes the records of it that the index lacks */
export class ImageRestorer {
  readonly #components: ImageRestorerComponents

  constructor (components: ImageRestorerComponents) {
    this.#components = components
  }

  /** What can't be read or is wrong is left out, and is among the problems */
  async restore (repository: string, digest: Digest, signal: AbortSignal): Promise<RestoredImage> {
    const work: Work = {
      repository,
      signal,
      change: this.#components.index.change(),
      manifests: new Set(),
      added: { manifests: 0, blobs: 0 },
      problems: [],
      isPartial: true,
      blobs: new Map(),
      records: new Map()
    }
    await this.#add(this.#wanted(digest)!, work)
    if (work.added.manifests > 0) {
      work.change.putRepository(repository)
    }
    return work
  }

  #wanted (digest: Digest): Wanted | undefined {
    const image = this.#components.found.get(digest)
    return image && { ...image, place: image.root }
  }

  async #add (wanted: Wanted, work: Work): Promise<void> {
    const { digest } = wanted
    if (work.manifests.has(digest)) {
      return
    }
    const { found, reader } = this.#components
    const read = await orProblem(work, { digest, cid: wanted.place }, async () => await readManifest(reader, wanted.place, wanted, work))
    if (read === undefined) {
      return
    }
    work.manifests.add(digest)
    for (const child of read.manifest.manifests) {
      await this.#add(this.#wanted(child.digest) ?? below(wanted, child), work)
    }
    await this.#addBlobs(wanted, read, work)
    await this.#put(wanted, read, work)
    for (const referrer of found.referrers(digest)) {
      await this.#add({ ...referrer, place: referrer.root }, work)
    }
  }

  async #addBlobs ({ place }: Wanted, { manifest }: LayoutManifest, work: Work): Promise<void> {
    const { index, reader } = this.#components
    for (const { digest } of [...manifest.blobs, ...manifest.foreign]) {
      if (work.blobs.has(digest) || await index.isLinked(work.repository, digest)) {
        continue
      }
      // a root leaves out what was not here when the manifest was pushed
      const blob = await orProblem(work, { digest, cid: place }, async () => await findBlob(reader, place, digest, work))
      const isRight = blob !== undefined && await orProblem(work, { digest, cid: blob.cid }, async () => await this.#verify(digest, blob, work))
      if (isRight === true) {
        const { cid, size, dagSize } = blob
        work.blobs.set(digest, { cid, size, dagSize })
        work.change.putLink(work.repository, digest)
        work.added.blobs++
      }
    }
  }

  /** A blob that has a record was verified before; the record is kept at once, so that no blob is read twice */
  async #verify (digest: Digest, { cid, size, dagSize }: BlobRecord, { signal }: Work): Promise<boolean> {
    const { index, reader } = this.#components
    if ((await index.blob(digest))?.cid !== cid) {
      const actual = await digestOfContent(reader, cid, algorithmOf(digest), { signal })
      if (actual !== digest) {
        throw new Error(`what is linked as ${digest} has the digest ${actual}`)
      }
      await index.change().putBlob(digest, { cid, size, dagSize }).commit({ durable: false })
    }
    return true
  }

  async #put ({ digest, root }: Wanted, { manifest, found }: LayoutManifest, work: Work): Promise<void> {
    const { content, index } = this.#components
    if (await index.manifest(work.repository, digest) !== undefined) {
      return
    }
    const record = manifestRecord(manifest, found)
    const withThese = {
      blob: async (blob: Digest) => work.blobs.get(blob) ?? await index.blob(blob),
      manifest: async (repository: string, child: Digest) => work.records.get(child) ?? await index.manifest(repository, child)
    }
    const complete: ManifestRecord = {
      ...record,
      root: root ?? await addImageRoot({ content, index: withThese }, work.repository, { digest, ...record }),
      updated: new Date().toISOString()
    }
    work.records.set(digest, complete)
    work.change.putManifest(work.repository, digest, complete)
    if (manifest.subject !== undefined) {
      work.change.putReferrer(work.repository, manifest.subject.digest, referrerDescriptor(manifest, { digest, size: record.size }))
    }
    work.added.manifests++
  }
}

/** A manifest of an index that came from another node has no root of its own */
function below ({ place }: Wanted, { digest, mediaType }: Descriptor): Wanted {
  return { digest, mediaType, place }
}

async function orProblem<T> (work: Work, where: RestoreProblem | Omit<RestoreProblem, 'reason'>, reading: () => Promise<T>): Promise<T | undefined> {
  try {
    return await reading()
  } catch (err) {
    work.signal.throwIfAborted()
    const { name, message } = err as Error
    if (name === 'StorageFullError') {
      throw err
    }
    work.isPartial &&= name === 'NotFoundError'
    work.problems.push({ repository: work.repository, ...where, reason: message })
    return undefined
  }
}
