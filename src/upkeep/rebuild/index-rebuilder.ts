/**
 * Makes an index anew that was deleted while its blocks stayed. Which images there are, the blocks tell; which repositories and tags they
 * belong to, the files of the CID store, or else the directory that this registry published last, as its own IPNS record says: what else lies
 * among the blocks may be a stranger's. What an index lists belongs to the repositories that have the index, and what names a subject to those
 * that have the subject. An image that nobody claims goes into a repository of its own.
 *
 * Everything is compared with its digest before it is in the index, and everything that a manifest names is looked for. Only where all of it was right does the index count as whole again:
 * until then no garbage is collected, so that what is repaired meanwhile can be restored by another run.
 */
import { requireBlocks } from '../../ipfs/dag/complete-dags.ts'
import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentReader, ContentStore } from '../../ipfs/content-store.ts'
import { smallBlocks } from '../../ipfs/blockstore/small-blocks.ts'
import { verifiedReader } from '../../ipfs/content/verified-reader.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { OciError } from '../../oci/errors.ts'
import type { CidStore } from '../../registry/tags/cid-store.ts'
import { FoundImages, maxRootBytes, type FoundImage } from './found-images.ts'
import { readTopManifest } from '../../registry/image/read-image.ts'
import { ImageRebuilder } from './image-rebuilder.ts'
import type { RebuiltImage, RebuildProblem } from './rebuild-work.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import type { Publisher } from '../../registry/tags/publisher.ts'
import { claims, type Claim } from './tag-claims.ts'

/** Where images go that no repository claims */
const recoveredRepository = 'recovered'
const second = 1000
/** Problems that are kept one by one */
const maxProblems = 1000
/** Problems of one image that are named in the log */
const maxNamed = 10

export interface IndexRebuilderComponents {
  blockstore: Pick<DurableBlockstore, 'has' | 'path' | 'read'>
  content: ContentStore
  index: Index
  condition: IndexCondition
  links: LinkGuard
  cidStore: Pick<CidStore, 'list' | 'read' | 'refresh'>
  names: { published: () => Promise<string | undefined> }
  publisher: Pick<Publisher, 'refresh'>
  log: Logger
}

export interface RebuildProgress {
  phase: 'blocks' | 'tags' | 'rest'
  /** Looked at */
  blocks: number
  manifests: number
  blobs: number
}

export interface RebuildResult {
  /** Whether the index counts as complete now */
  whole: boolean
  /** What the index got that it did not have */
  tags: number
  manifests: number
  blobs: number
  /** Images that no repository claimed: they are in the repository `recovered` */
  recovered: Digest[]
  /** Images that are here in part, as what was pulled from other nodes */
  partial: number
  /** What manifests name and was not here either when they were pushed, such as platforms of an index; the first thousand */
  absent: RebuildProblem[]
  /** The first thousand */
  problems: RebuildProblem[]
  seconds: number
}

interface Run {
  reader: ContentReader
  found: FoundImages
  restorer: ImageRebuilder
  result: Omit<RebuildResult, 'seconds'>
  /** Digests of all that a repository has */
  claimed: Set<Digest>
  signal: AbortSignal
}

export class IndexRebuilder {
  readonly #components: IndexRebuilderComponents
  #controller = new AbortController()
  #running: Promise<RebuildResult> | undefined
  #progress: RebuildProgress = { phase: 'blocks', blocks: 0, manifests: 0, blobs: 0 }

  constructor(components: IndexRebuilderComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
  }

  /** Cuts a run short: the next one does what is left */
  async stop(): Promise<void> {
    this.#controller.abort(new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' } }))
    await this.#running?.catch(() => {})
  }

  /** Calls that come while it runs share its result. Where the index is whole, nothing is changed. */
  async rebuild({
    onProgress,
  }: {
    onProgress?: ((progress: RebuildProgress) => void) | undefined
  } = {}): Promise<RebuildResult> {
    const timer = setInterval(() => {
      onProgress?.({ ...this.#progress })
    }, second / 2)
    try {
      this.#running ??= this.#rebuild(this.#controller.signal).finally(() => {
        this.#running = undefined
      })
      return await this.#running
    } finally {
      clearInterval(timer)
    }
  }

  /** Has the index count as complete as it is: what it does not know becomes garbage */
  async waive(): Promise<void> {
    if (this.#running !== undefined) {
      throw new OciError('UNAVAILABLE', { detail: { reason: 'the index is being rebuilt' } })
    }
    this.#components.condition.requireServing()
    await this.#complete()
  }

  async #rebuild(signal: AbortSignal): Promise<RebuildResult> {
    const { condition, log } = this.#components
    const began = performance.now()
    const result: Run['result'] = {
      whole: condition.isWhole,
      tags: 0,
      manifests: 0,
      blobs: 0,
      recovered: [],
      partial: 0,
      absent: [],
      problems: [],
    }
    condition.requireServing()
    if (!condition.isWhole) {
      await this.#run(result, signal)
      result.whole = result.problems.length === 0
      await (result.whole ? this.#complete() : undefined)
    }
    const { absent, problems, recovered, ...rest } = {
      ...result,
      seconds: Math.round(performance.now() - began) / second,
    }
    log.info('index rebuilt', {
      ...rest,
      recovered: recovered.length,
      absent: absent.length,
      problems: problems.length,
    })
    return { ...rest, recovered, absent: absent.slice(0, maxProblems), problems: problems.slice(0, maxProblems) }
  }

  async #run(result: Run['result'], signal: AbortSignal): Promise<void> {
    const { blockstore, content, index, names } = this.#components
    const reader = verifiedReader(blockstore)
    const found = new FoundImages()
    const run: Run = {
      reader,
      found,
      restorer: new ImageRebuilder({ content, index, reader, found }),
      result,
      claimed: new Set(),
      signal,
    }
    this.#progress = { phase: 'blocks', blocks: 0, manifests: 0, blobs: 0 }
    const onDirectory = (blocks: number): void => {
      this.#progress.blocks += blocks
    }
    for await (const block of smallBlocks(blockstore.path, maxRootBytes, { signal, onDirectory })) {
      await found.add(reader, block, signal)
    }
    result.problems.push(...found.problems)
    this.#progress.phase = 'tags'
    for await (const claim of claims(this.#components.cidStore, reader, await names.published(), signal)) {
      await this.#restoreTag(claim, run)
    }
    this.#progress.phase = 'rest'
    for (const image of found.values()) {
      await (run.claimed.has(image.digest) ? undefined : this.#recover(image, run))
    }
    for (const root of found.incomplete) {
      await this.#keepAsCached(root, run)
    }
  }

  async #restoreTag({ repository, tag, root: noted }: Claim, run: Run): Promise<void> {
    const { index, links } = this.#components
    const root = await noted()
    if (root === undefined) {
      return
    }
    const top = await this.#topOf(root, { repository, tag }, run)
    if (top === undefined) {
      return
    }
    const { digest } = top
    const image = await run.restorer.restore(repository, top, run.signal, {
      root,
      isWhole: await this.#isWhole(root, run),
    })
    await links.repositories.run(
      repository,
      async () => {
        // it may have been pushed, or deleted, meanwhile
        if (
          image.manifests.has(digest) &&
          (await index.tag(repository, tag)) === undefined &&
          (await noted()) === root
        ) {
          image.change.putTag(repository, tag, { digest, updated: new Date().toISOString() })
          run.result.tags++
        }
        await this.#commit(image, run)
      },
      { signal: run.signal },
    )
    run.result.absent.push(...image.absent.map(absent => ({ ...absent, tag })))
    run.result.problems.push(...image.problems.map(problem => ({ ...problem, tag })))
  }

  /** @returns the manifest that a tag's root is made for; undefined where it is not here, or the tag was pushed meanwhile */
  async #topOf(
    root: string,
    { repository, tag }: { repository: string; tag: string },
    { reader, result, signal }: Run,
  ): Promise<Pick<Descriptor, 'digest' | 'mediaType'> | undefined> {
    try {
      const {
        digest,
        manifest: { mediaType },
      } = await readTopManifest(reader, root, { signal })
      return { digest, mediaType }
    } catch (err) {
      signal.throwIfAborted()
      if ((await this.#components.index.tag(repository, tag)) === undefined) {
        result.problems.push({ repository, tag, cid: root, reason: (err as Error).message })
      }
      return undefined
    }
  }

  /** Whether the root can be the one of a manifest's record: all below that has to be here */
  async #isWhole(root: string, { signal }: Run): Promise<boolean> {
    try {
      await requireBlocks(this.#components.blockstore, root, { signal })
      return true
    } catch {
      signal.throwIfAborted()
      return false
    }
  }

  async #recover(image: FoundImage, run: Run): Promise<void> {
    const { links, log } = this.#components
    const restored = await run.restorer.restore(recoveredRepository, image, run.signal)
    // anybody could have made it, so that it is incomplete says nothing of what is this registry's own
    if (restored.problems.length > 0) {
      log.warn('image that no repository claims is here in part', {
        digest: image.digest,
        problems: restored.problems.slice(0, maxNamed),
      })
      for (const root of image.roots) {
        await this.#keepAsCached(root, run)
      }
      return
    }
    await links.repositories.run(
      recoveredRepository,
      async () => {
        await this.#commit(restored, run)
      },
      { signal: run.signal },
    )
    run.result.absent.push(...restored.absent)
    if (restored.manifests.has(image.digest)) {
      run.result.recovered.push(image.digest)
      log.info('image that no repository claims', { repository: recoveredRepository, digest: image.digest })
    }
  }

  /** What is here in part came from other nodes: it stays while there is room for it */
  async #keepAsCached(root: string, { result }: Run): Promise<void> {
    await this.#components.index.change().putCached(root, { used: new Date().toISOString() }).commit({ durable: true })
    result.partial++
  }

  async #commit({ added, change, manifests }: RebuiltImage, { claimed, result }: Run): Promise<void> {
    await this.#components.content.sync()
    await change.commit({ durable: true })
    manifests.forEach(digest => {
      claimed.add(digest)
    })
    result.manifests += added.manifests
    result.blobs += added.blobs
    this.#progress.manifests = result.manifests
    this.#progress.blobs = result.blobs
  }

  async #complete(): Promise<void> {
    const { cidStore, condition, publisher } = this.#components
    await condition.markWhole()
    cidStore.refresh()
    publisher.refresh()
  }
}
