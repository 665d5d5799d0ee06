import type { Access } from '../../access/access.ts'
import { requireBlocks } from '../../ipfs/dag/complete-dags.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentReader, ContentStore } from '../../ipfs/content-store.ts'
import { smallBlocks } from '../../ipfs/blockstore/small-blocks.ts'
import { verifiedReader } from '../../ipfs/content/verified-reader.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/manifest/descriptor.ts'
import type { CidStore } from '../../registry/tags/cid-store.ts'
import { readTopManifest } from '../../registry/image/read-image.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { FoundImages, maxRootBytes, type FoundImage } from './found-images.ts'
import { ImageRebuilder } from './image-rebuilder.ts'
import type { RebuildProblem, RebuiltImage } from './rebuild-work.ts'
import { claims, type Claim } from './tag-claims.ts'

/** The repository for images that no tag leads to */
const recoveredRepository = 'recovered'
/** Bytes of blocks in memory: an image is read when it is found, and again for each image that it may have a part of */
const rememberedBytes = 16 * 1024 * 1024
/** Problems of one image that are named in the log */
const maxNamed = 10

export interface RebuildRunComponents {
  access: Pick<Access, 'isClosed'>
  blockstore: Pick<DurableBlockstore, 'has' | 'path' | 'read'>
  content: ContentStore
  index: Index
  links: Pick<LinkGuard, 'repositories'>
  cidStore: Pick<CidStore, 'list' | 'read'>
  /** The directory of tags that this registry published last, as its own IPNS record says */
  names: { published: () => Promise<string | undefined> }
  log: Logger
}

export interface RebuildProgress {
  phase: 'blocks' | 'tags' | 'rest'
  /** Blocks that were looked at */
  blocks: number
  manifests: number
  blobs: number
  /** Images that are rebuilt, or here only in part */
  images: number
  /** Of all blocks in the first phase, which is an estimate, and of all images in the others */
  total: number
}

export interface RebuildOutcome {
  /** Tags, manifests and blobs that the index did not have */
  tags: number
  manifests: number
  blobs: number
  /** Images that no tag leads to: they are in the repository `recovered` */
  recovered: Digest[]
  /** Number of images that are here only in part, as those that were pulled from other nodes are */
  partial: number
  /** What manifests name but was not here when they were pushed either, such as platforms of an index */
  absent: RebuildProblem[]
  problems: RebuildProblem[]
}

/** One rebuild of the index */
export class RebuildRun {
  readonly progress: RebuildProgress = { phase: 'blocks', blocks: 0, manifests: 0, blobs: 0, images: 0, total: 0 }
  readonly outcome: RebuildOutcome = {
    tags: 0,
    manifests: 0,
    blobs: 0,
    recovered: [],
    partial: 0,
    absent: [],
    problems: [],
  }
  readonly #components: RebuildRunComponents
  readonly #signal: AbortSignal
  readonly #reader: ContentReader
  readonly #found = new FoundImages()
  readonly #rebuilder: ImageRebuilder
  /** Manifests that a repository has by now */
  readonly #claimed = new Set<Digest>()

  constructor(components: RebuildRunComponents, signal: AbortSignal) {
    this.#components = components
    this.#signal = signal
    this.#reader = verifiedReader(components.blockstore, { remembered: rememberedBytes })
    this.#rebuilder = new ImageRebuilder({ ...components, reader: this.#reader, found: this.#found })
  }

  async run(): Promise<void> {
    const { blockstore, cidStore, names } = this.#components
    const signal = this.#signal
    const onDirectory = (blocks: number, share: number): void => {
      this.progress.blocks += blocks
      this.progress.total = Math.round(this.progress.blocks / share)
    }
    for await (const blocks of smallBlocks(blockstore.path, maxRootBytes, { signal, onDirectory })) {
      await this.#found.add(this.#reader, blocks, signal)
    }
    this.outcome.problems.push(...this.#found.problems)
    this.progress.phase = 'tags'
    this.progress.total = this.#found.size
    for await (const claim of claims(cidStore, this.#reader, await names.published(), signal)) {
      await this.#rebuildTag(claim)
    }
    this.progress.phase = 'rest'
    for (const image of this.#found.values()) {
      await (this.#claimed.has(image.digest) ? undefined : this.#recover(image))
    }
    for (const root of this.#found.incomplete) {
      await this.#keepAsCached(root)
    }
  }

  async #rebuildTag({ repository, tag, root: noted }: Claim): Promise<void> {
    const { index } = this.#components
    const root = await noted()
    const top = root === undefined ? undefined : await this.#topOf(root, repository, tag)
    if (root === undefined || top === undefined) {
      return
    }
    const { digest } = top
    const image = await this.#rebuilder.rebuild(repository, top, this.#signal, {
      root,
      isWhole: await this.#isWhole(root),
    })
    await this.#locked(repository, async () => {
      // the tag may have been pushed or deleted meanwhile
      if (image.manifests.has(digest) && (await index.tag(repository, tag)) === undefined && (await noted()) === root) {
        image.change.putTag(repository, tag, { digest, updated: new Date().toISOString() })
        this.outcome.tags++
      }
      await this.#commit(image)
    })
    this.outcome.absent.push(...image.absent.map(absent => ({ ...absent, tag })))
    this.outcome.problems.push(...image.problems.map(problem => ({ ...problem, tag })))
  }

  /** @returns the manifest for which the root of a tag was made; undefined where it can't be read */
  async #topOf(
    root: string,
    repository: string,
    tag: string,
  ): Promise<Pick<Descriptor, 'digest' | 'mediaType'> | undefined> {
    try {
      const { digest, manifest } = await readTopManifest(this.#reader, root, { signal: this.#signal })
      return { digest, mediaType: manifest.mediaType }
    } catch (err) {
      this.#signal.throwIfAborted()
      // a tag that was pushed meanwhile is no problem any more
      if ((await this.#components.index.tag(repository, tag)) === undefined) {
        this.outcome.problems.push({ repository, tag, cid: root, reason: (err as Error).message })
      }
      return undefined
    }
  }

  /** Whether everything below a root is here, so that a manifest record may name it */
  async #isWhole(root: string): Promise<boolean> {
    try {
      await requireBlocks(this.#components.blockstore, root, { signal: this.#signal })
      return true
    } catch {
      this.#signal.throwIfAborted()
      return false
    }
  }

  /**
   * Takes in an image that no tag leads to. Anybody may have made it, so where it is incomplete, that says nothing
   * about this registry's own content, and is no problem.
   */
  async #recover(image: FoundImage): Promise<void> {
    const { log } = this.#components
    const { digest } = image
    const rebuilt = await this.#rebuilder.rebuild(recoveredRepository, image, this.#signal)
    if (rebuilt.problems.length > 0) {
      log.warn('an image without a tag is here only in part', {
        digest,
        problems: rebuilt.problems.slice(0, maxNamed),
      })
      for (const root of image.roots) {
        await this.#keepAsCached(root)
      }
      this.progress.images++
      return
    }
    await this.#locked(recoveredRepository, async () => {
      await this.#commit(rebuilt)
    })
    this.outcome.absent.push(...rebuilt.absent)
    if (rebuilt.manifests.has(digest)) {
      this.outcome.recovered.push(digest)
      log.info('an image without a tag was recovered', { repository: recoveredRepository, digest })
    }
  }

  /** An image that is here only in part came from other nodes, so it stays only while there is room */
  async #keepAsCached(root: string): Promise<void> {
    const used = new Date().toISOString()
    await this.#components.index.change().putCached(root, { used }).commit({ durable: true })
    this.outcome.partial++
  }

  async #locked(repository: string, work: () => Promise<void>): Promise<void> {
    await this.#components.links.repositories.run(repository, work, { signal: this.#signal })
  }

  async #commit({ added, change, manifests }: RebuiltImage): Promise<void> {
    await this.#components.content.sync()
    await change.commit({ durable: true })
    for (const digest of manifests) {
      const isNew = !this.#claimed.has(digest) && this.#found.get(digest) !== undefined
      this.progress.images += isNew ? 1 : 0
      this.#claimed.add(digest)
    }
    this.outcome.manifests += added.manifests
    this.outcome.blobs += added.blobs
    this.progress.manifests = this.outcome.manifests
    this.progress.blobs = this.outcome.blobs
  }
}
