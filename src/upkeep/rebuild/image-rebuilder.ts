import type { Access } from '../../access/access.ts'
import type { Content, ContentReader, ContentStore } from '../../ipfs/content-store.ts'
import { digestCid } from '../../ipfs/digests/digest-cid.ts'
import type { Index, ManifestRecord } from '../../index/index.ts'
import { algorithmOf, type Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import type { FoundImages } from './found-images.ts'
import { findBlob, type LayoutManifest } from '../../registry/image/read-image.ts'
import { addImageRoot } from '../../registry/image/image-root.ts'
import { manifestRecord, referrerDescriptor } from '../../registry/manifest-record.ts'
import { digestOfContent } from '../../registry/read-content.ts'
import { firstRight, mayGet, readAsAny, type RebuiltImage, type Wanted, type Work } from './rebuild-work.ts'

export interface ImageRebuilderComponents {
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'sync' | 'writer'>
  index: Index
  /** Compares each block that it reads with its CID */
  reader: ContentReader
  found: FoundImages
  access: Pick<Access, 'isClosed'>
}

/**
 * Reads an image below any root that leads to it, compares everything with its digest, and makes the records that the
 * index lacks. The records name the DAGs that our own writer makes; where others were found, the content is written
 * again.
 */
export class ImageRebuilder {
  readonly #components: ImageRebuilderComponents

  constructor(components: ImageRebuilderComponents) {
    this.#components = components
  }

  /**
   * What can't be read or is wrong is left out and reported as a problem
   *
   * @param own the image root that this registry noted, and whether everything below it is here
   */
  async rebuild(
    repository: string,
    { digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>,
    signal: AbortSignal,
    own?: { root: string; isWhole: boolean },
  ): Promise<RebuiltImage> {
    const work: Work = {
      repository,
      isClaimed: own !== undefined,
      onlyListed: own !== undefined && this.#components.access.isClosed,
      signal,
      change: this.#components.index.change(),
      manifests: new Set(),
      added: { manifests: 0, blobs: 0 },
      problems: [],
      absent: [],
      blobs: new Map(),
      records: new Map(),
    }
    await this.#add(
      {
        digest,
        mediaTypes: [mediaType],
        own: own?.root,
        listedBy: own === undefined ? [] : [own.root],
        places: this.#places(digest, own?.root),
        root: own?.isWhole === true ? own.root : undefined,
      },
      work,
    )
    if (work.added.manifests > 0) {
      work.change.putRepository(repository)
    }
    return work
  }

  #places(digest: Digest, ...others: Array<string | undefined>): string[] {
    return [
      ...new Set([...others.filter(root => root !== undefined), ...(this.#components.found.get(digest)?.roots ?? [])]),
    ]
  }

  /**
   * @param mediaType of its descriptor, which anybody may have written; the root of the manifest itself may know better
   */
  async #addBelow(
    { own, listedBy, places }: Wanted,
    { digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>,
    work: Work,
  ): Promise<void> {
    if (!(await mayGet(this.#components.reader, listedBy, digest, work))) {
      return
    }
    const mediaTypes = [mediaType, this.#components.found.get(digest)?.mediaType, undefined]
    const below = { digest, mediaTypes, own, listedBy, places: this.#places(digest, ...places) }
    await this.#add(below, work, { isOptional: true })
  }

  /**
   * Whether the first root that has a digest has it as a blob or a manifest, whatever the descriptor says. Our own root
   * is looked at first.
   */
  async #kindBelow({ places }: Wanted, digest: Digest, { signal }: Work): Promise<'blob' | 'manifest' | undefined> {
    const { reader } = this.#components
    for (const place of places) {
      try {
        if ((await reader.find(place, ['manifests', digest], { signal })) !== undefined) {
          return 'manifest'
        }
        if ((await reader.find(place, ['blobs', digest], { signal })) !== undefined) {
          return 'blob'
        }
      } catch {
        // where it is read for good, the failure is reported
        signal.throwIfAborted()
      }
    }
    return undefined
  }

  async #add(wanted: Wanted, work: Work, options: { isOptional?: boolean } = {}): Promise<void> {
    if (work.manifests.has(wanted.digest)) {
      return
    }
    const { reader } = this.#components
    const read: LayoutManifest | undefined = await firstRight(
      wanted,
      work,
      async place => await readAsAny(reader, place, wanted, { ...options, signal: work.signal }),
      options,
    )
    if (read === undefined) {
      return
    }
    work.manifests.add(wanted.digest)
    for (const child of read.manifest.manifests) {
      await ((await this.#kindBelow(wanted, child.digest, work)) === 'blob'
        ? this.#addBlob(wanted, child.digest, work)
        : this.#addBelow(wanted, child, work))
    }
    await this.#addSubject(wanted, read, work)
    await this.#addBlobs(wanted, read, work)
    await this.#put(wanted, read, work)
    for (const { digest, mediaType, roots } of this.#components.found.referrers(wanted.digest)) {
      // which of them is ours is not known: what all of them list was here
      await this.#add({ digest, mediaTypes: [mediaType], own: undefined, listedBy: roots, places: roots }, work)
    }
  }

  /** A subject is taken into the same repository where a tag leads to the image. Otherwise it is an image by itself. */
  async #addSubject(wanted: Wanted, { manifest: { subject } }: LayoutManifest, work: Work): Promise<void> {
    if (subject === undefined) {
      return
    }
    if ((await this.#kindBelow(wanted, subject.digest, work)) === 'blob') {
      await this.#addBlob(wanted, subject.digest, work)
    }
    // the same bytes may have been pushed as a manifest, too
    if (work.isClaimed && this.#components.found.get(subject.digest) !== undefined) {
      // a subject has roots of its own
      await this.#addBelow({ ...wanted, own: undefined, places: [] }, subject, work)
    }
  }

  async #addBlobs(wanted: Wanted, { manifest }: LayoutManifest, work: Work): Promise<void> {
    const { found } = this.#components
    const optional = new Set(manifest.others.map(({ digest }) => digest))
    for (const named of [...manifest.blobs, ...manifest.others]) {
      const { digest } = named
      const kind = await this.#kindBelow(wanted, digest, work)
      // an index may list a manifest under an unknown media type, and any manifest may name one in an unknown field
      if (kind === 'manifest' || (kind === undefined && manifest.kind === 'index' && found.get(digest) !== undefined)) {
        await this.#addBelow(wanted, named, work)
      }
      // a client pulls a layer as a blob, even if it is also a manifest
      if (!work.manifests.has(digest) || (manifest.kind === 'image' && !optional.has(digest))) {
        await this.#addBlob(wanted, digest, work, optional.has(digest))
      }
    }
  }

  async #addBlob(wanted: Wanted, digest: Digest, work: Work, isOptional = false): Promise<void> {
    if (work.blobs.has(digest) || (await this.#components.index.isLinked(work.repository, digest))) {
      return
    }
    const content = (await mayGet(this.#components.reader, wanted.listedBy, digest, work))
      ? await this.#blob({ ...wanted, digest }, work, isOptional)
      : undefined
    if (content !== undefined) {
      work.blobs.set(digest, content)
      work.change.putLink(work.repository, digest)
      work.added.blobs++
    }
  }

  /** Commits the record at once, so that no blob is read twice */
  async #blob(wanted: Wanted, work: Work, isOptional: boolean): Promise<Content | undefined> {
    const { index, reader } = this.#components
    const { digest } = wanted
    const known = await index.blob(digest)
    if (known !== undefined) {
      return known
    }
    // a small blob is one block whose CID follows from the digest, so it can be found without a root
    const leaf = digestCid(digest)?.toString()
    const content = await firstRight(
      { ...wanted, places: [...(leaf === undefined ? [] : [leaf]), ...wanted.places] },
      work,
      async (place, found) => {
        const cid = place === leaf ? leaf : (await findBlob(reader, place, digest, work))?.cid
        if (cid === undefined) {
          return undefined
        }
        found(cid)
        return await this.#verified(digest, cid, work)
      },
      { leaf, isOptional },
    )
    if (content !== undefined) {
      await index.change().putBlob(digest, content).commit({ durable: false })
    }
    return content
  }

  /** Compares a file with its digest, and writes it again where our own writer would make another DAG */
  async #verified(digest: Digest, cid: string, { signal }: Work): Promise<Content> {
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

  async #put({ digest, root }: Wanted, { bytes, manifest }: LayoutManifest, work: Work): Promise<void> {
    const { content, index } = this.#components
    const known = await index.manifest(work.repository, digest)
    const record = manifestRecord(manifest, await content.add(bytes))
    const withThese = {
      blob: async (blob: Digest) => work.blobs.get(blob) ?? (await index.blob(blob)),
      isLinked: async (repository: string, blob: Digest) =>
        work.blobs.has(blob) || (await index.isLinked(repository, blob)),
      manifest: async (repository: string, child: Digest) =>
        work.records.get(child) ?? (await index.manifest(repository, child)),
    }
    const complete: ManifestRecord = {
      ...record,
      root: root ?? (await addImageRoot({ content, index: withThese }, work.repository, { digest, ...record })),
      updated: known?.updated ?? new Date().toISOString(),
    }
    work.records.set(digest, complete)
    // an earlier rebuild may have found less of the image, and so made another root
    if (known?.root === complete.root) {
      return
    }
    work.change.putManifest(work.repository, digest, complete)
    if (manifest.subject !== undefined) {
      work.change.putReferrer(
        work.repository,
        manifest.subject.digest,
        referrerDescriptor(manifest, { digest, size: record.size }),
      )
    }
    work.added.manifests += known === undefined ? 1 : 0
  }
}

function requireDigest(digest: Digest, actual: Digest | undefined): void {
  if (actual !== digest) {
    throw new Error(`the content that is linked as ${digest} has the digest ${actual}`)
  }
}
