import type { Content, ContentReader, ContentStore } from '../ipfs/content-store.ts'
import { leafCid } from '../ipfs/dag.ts'
import type { Index, IndexChange, ManifestRecord } from '../index/index.ts'
import { algorithmOf, hexOf, type Digest } from '../oci/digest.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { FoundImages } from './found-images.ts'
import { findBlob, readManifest, type LayoutManifest } from './image-layout.ts'
import { addImageRoot } from './image-root.ts'
import { manifestRecord, referrerDescriptor } from './manifest-record.ts'
import { digestOfContent } from './read-content.ts'

export interface ImageRestorerComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'sync' | 'writer'>
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
  /** What a manifest names and was not here either when the manifest was pushed */
  absent: RestoreProblem[]
}

/** A manifest on its way into a repository */
interface Wanted {
  digest: Digest
  mediaType: string
  /** Image root that this registry made itself; undefined where nobody knows who made the others */
  own: string | undefined
  /** Roots that may lead to the manifest and its blobs, be they a stranger's */
  places: string[]
  /** What the manifest's record is to name; undefined: one that is made anew */
  root?: string | undefined
}

interface Work extends RestoredImage {
  repository: string
  signal: AbortSignal
  blobs: Map<Digest, Content>
  records: Map<Digest, ManifestRecord>
}

/**
 * Reads an image below any root that leads to it, compares all of it with its digests, and makes the records that the index lacks: of the DAGs
 * that our own writer makes, whoever made those that were found.
 */
export class ImageRestorer {
  readonly #components: ImageRestorerComponents

  constructor (components: ImageRestorerComponents) {
    this.#components = components
  }

  /**
   * What can't be read or is wrong is left out, and is among the problems
   *
   * @param own the image root that this registry noted for it, and whether all is here below that
   */
  async restore (repository: string, { digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>, signal: AbortSignal, own?: { root: string, isWhole: boolean }): Promise<RestoredImage> {
    const work: Work = {
      repository,
      signal,
      change: this.#components.index.change(),
      manifests: new Set(),
      added: { manifests: 0, blobs: 0 },
      problems: [],
      absent: [],
      blobs: new Map(),
      records: new Map()
    }
    await this.#add({ digest, mediaType, own: own?.root, places: this.#places(digest, own?.root), root: own?.isWhole === true ? own.root : undefined }, work)
    if (work.added.manifests > 0) {
      work.change.putRepository(repository)
    }
    return work
  }

  #places (digest: Digest, ...others: Array<string | undefined>): string[] {
    return [...new Set([...others.filter(root => root !== undefined), ...this.#components.found.get(digest)?.roots ?? []])]
  }

  async #addBelow ({ own, places }: Wanted, { digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>, work: Work): Promise<void> {
    await this.#add({ digest, mediaType, own, places: this.#places(digest, ...places) }, work, { isOptional: true })
  }

  async #add (wanted: Wanted, work: Work, options: { isOptional?: boolean } = {}): Promise<void> {
    if (work.manifests.has(wanted.digest)) {
      return
    }
    const { reader } = this.#components
    const read: LayoutManifest | undefined = await firstRight(wanted, work, async place => await readManifest(reader, place, wanted, work), options)
    if (read === undefined) {
      return
    }
    work.manifests.add(wanted.digest)
    for (const child of read.manifest.manifests) {
      await this.#addBelow(wanted, child, work)
    }
    await this.#addBlobs(wanted, read, work)
    await this.#put(wanted, read, work)
    for (const { digest, mediaType, roots } of this.#components.found.referrers(wanted.digest)) {
      await this.#add({ digest, mediaType, own: undefined, places: roots }, work)
    }
  }

  async #addBlobs (wanted: Wanted, { manifest }: LayoutManifest, work: Work): Promise<void> {
    const { found, index } = this.#components
    const optional = new Set(manifest.others.map(({ digest }) => digest))
    for (const { digest } of [...manifest.blobs, ...manifest.others]) {
      if (work.blobs.has(digest) || await index.isLinked(work.repository, digest)) {
        continue
      }
      // an index may list a manifest under a media type that nobody knows
      const listed = manifest.kind === 'index' ? found.get(digest) : undefined
      if (listed !== undefined) {
        await this.#addBelow(wanted, listed, work)
        continue
      }
      const content = await this.#blob({ ...wanted, digest }, work, optional.has(digest))
      if (content !== undefined) {
        work.blobs.set(digest, content)
        work.change.putLink(work.repository, digest)
        work.added.blobs++
      }
    }
  }

  /** The record is kept at once, so that no blob is read twice */
  async #blob (wanted: Wanted, work: Work, isOptional: boolean): Promise<Content | undefined> {
    const { index, reader } = this.#components
    const { digest } = wanted
    const known = await index.blob(digest)
    if (known !== undefined) {
      return known
    }
    // a small blob is one block, and its digest says which: no root is needed
    const leaf = algorithmOf(digest) === 'sha256' ? leafCid(Buffer.from(hexOf(digest), 'hex')).toString() : undefined
    const content = await firstRight({ ...wanted, places: [...leaf === undefined ? [] : [leaf], ...wanted.places] }, work, async (place, found) => {
      const cid = place === leaf ? leaf : (await findBlob(reader, place, digest, work))?.cid
      if (cid === undefined) {
        return undefined
      }
      found(cid)
      return await this.#verified(digest, cid, work)
    }, { leaf, isOptional })
    if (content !== undefined) {
      await index.change().putBlob(digest, content).commit({ durable: false })
    }
    return content
  }

  /** @returns the file as our own writer makes it */
  async #verified (digest: Digest, cid: string, { signal }: Work): Promise<Content> {
    const { content, reader } = this.#components
    const canonical = await reader.canonical(cid, { signal })
    if (canonical !== undefined) {
      requireDigest(digest, await digestOfContent(reader, cid, algorithmOf(digest), { signal }))
      return canonical
    }
    const writer = content.writer({ digest: algorithmOf(digest) })
    try {
      for await (const chunk of reader.read(cid, { signal })) {
        await writer.write(chunk)
      }
      const { digest: actual, ...written } = await writer.close()
      requireDigest(digest, actual)
      await content.sync()
      return written
    } finally {
      writer.discard()
    }
  }

  async #put ({ digest, root }: Wanted, { bytes, manifest }: LayoutManifest, work: Work): Promise<void> {
    const { content, index } = this.#components
    const known = await index.manifest(work.repository, digest)
    const record = manifestRecord(manifest, await content.add(bytes))
    const withThese = {
      blob: async (blob: Digest) => work.blobs.get(blob) ?? await index.blob(blob),
      isLinked: async (repository: string, blob: Digest) => work.blobs.has(blob) || await index.isLinked(repository, blob),
      manifest: async (repository: string, child: Digest) => work.records.get(child) ?? await index.manifest(repository, child)
    }
    const complete: ManifestRecord = {
      ...record,
      root: root ?? await addImageRoot({ content, index: withThese }, work.repository, { digest, ...record }),
      updated: known?.updated ?? new Date().toISOString()
    }
    work.records.set(digest, complete)
    // an earlier run may have found less below it
    if (known?.root === complete.root) {
      return
    }
    work.change.putManifest(work.repository, digest, complete)
    if (manifest.subject !== undefined) {
      work.change.putReferrer(work.repository, manifest.subject.digest, referrerDescriptor(manifest, { digest, size: record.size }))
    }
    work.added.manifests += known === undefined ? 1 : 0
  }
}

function requireDigest (digest: Digest, actual: Digest | undefined): void {
  if (actual !== digest) {
    throw new Error(`what is linked as ${digest} has the digest ${actual}`)
  }
}

/**
 * Looks in all places until one has what is right: a stranger's may have something else, or nothing. Where none has it, that is a problem,
 * unless our own root does not know of it: then it was not here either when the manifest was pushed.
 */
async function firstRight<T> (
  { digest, own, places }: Wanted, work: Work, look: (place: string, found: (cid: string) => void) => Promise<T | undefined>, { leaf, isOptional = false }: { leaf?: string | undefined, isOptional?: boolean } = {}
): Promise<T | undefined> {
  let failure: { cid: string, reason: string } | undefined
  let wasAbsent = false
  for (const place of places) {
    work.signal.throwIfAborted()
    let cid = place
    try {
      const right = await look(place, found => { cid = found })
      if (right !== undefined) {
        return right
      }
      wasAbsent ||= place === own
    } catch (err) {
      work.signal.throwIfAborted()
      const { name, message } = err as Error
      if (name === 'StorageFullError') {
        throw err
      }
      if (place !== leaf || name !== 'NotFoundError') {
        failure = { cid, reason: message }
      }
    }
  }
  const where = { repository: work.repository, digest }
  if (wasAbsent || (isOptional && failure === undefined)) {
    work.absent.push({ ...where, reason: 'was not here when the manifest was pushed' })
  } else {
    work.problems.push({ ...where, cid: failure?.cid ?? places.at(-1), reason: failure?.reason ?? 'is not here' })
  }
  return undefined
}
