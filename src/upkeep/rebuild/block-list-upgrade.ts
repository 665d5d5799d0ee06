import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import { isUnreadable } from '../../ipfs/errors.ts'
import type { Index } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { everything } from '../../oci/pagination.ts'
import { blocksOfFile, blocksOfManifest } from '../../registry/image/image-blocks.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { Pace } from '../../scheduling/pace.ts'

/** Links that are written together */
const linksAtATime = 500

export interface BlockListUpgradeComponents {
  blockstore: Pick<DurableBlockstore, 'read'>
  condition: Pick<IndexCondition, 'hasBlockLists' | 'markBlockLists'>
  index: Index
  links: Pick<LinkGuard, 'hold' | 'repositories'>
  log: Logger
}

/**
 * Records which blocks the blobs and manifests have that are in the index without: those of older versions, of a
 * rebuild and of a backup. Until then such a block is of no repository to whoever asks for it by its CID. It reads the
 * nodes of each DAG, rests as long as it works, and goes on after a restart with what is not recorded yet.
 */
export class BlockListUpgrade {
  readonly #components: BlockListUpgradeComponents
  readonly #pace = new Pace()
  readonly #lock = new KeyedLock()
  #controller = new AbortController()
  #running: Promise<void> | undefined

  constructor(components: BlockListUpgradeComponents) {
    this.#components = components
  }

  /** Returns at once, and goes on in the background */
  async start(): Promise<void> {
    this.#controller = new AbortController()
    const { signal } = this.#controller
    this.#running = this.run(signal).catch((err: unknown) => {
      if (!signal.aborted) {
        this.#components.log.error('the blocks of older content were not recorded', { err })
      }
    })
  }

  async stop(): Promise<void> {
    this.#controller.abort(new Error('the server stops'))
    await this.#running
  }

  /** What can't be read is left out, and the next run tries it again */
  async run(signal: AbortSignal): Promise<void> {
    await this.#lock.run('run', async () => await this.#run(signal), { signal })
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { condition, log } = this.#components
    if (condition.hasBlockLists) {
      return
    }
    await this.#recordLinks(signal)
    const unread = (await this.#recordBlobs(signal)) + (await this.#recordManifests(signal))
    if (unread === 0) {
      await condition.markBlockLists()
    }
    log.info('recorded which blocks belong to which repositories', { unread })
  }

  async #recordLinks(signal: AbortSignal): Promise<void> {
    const { index } = this.#components
    let batch: { repository: string; digests: Digest[] } = { repository: '', digests: [] }
    for await (const { repository, digest } of index.links()) {
      if (repository !== batch.repository || batch.digests.length === linksAtATime) {
        await this.#recordLinksOf(batch.repository, batch.digests, signal)
        batch = { repository, digests: [] }
      }
      batch.digests.push(digest)
    }
    await this.#recordLinksOf(batch.repository, batch.digests, signal)
  }

  /** Under the lock of the repository no link of it is deleted */
  async #recordLinksOf(repository: string, digests: readonly Digest[], signal: AbortSignal): Promise<void> {
    const { index, links } = this.#components
    await links.repositories.run(
      repository,
      async () => {
        const change = index.change()
        for (const digest of digests) {
          if (await index.isLinked(repository, digest)) {
            change.putLinked(repository, digest)
          }
        }
        await change.commit({ durable: false })
      },
      { signal },
    )
    await this.#pace.rest({ signal })
  }

  /** @returns the number of those that can't be read */
  async #recordBlobs(signal: AbortSignal): Promise<number> {
    const { blockstore, index, links } = this.#components
    let unread = 0
    for await (const { digest } of index.blobs()) {
      if (!(await index.hasBlobBlocks(digest))) {
        unread += await this.#unlessUnreadable({ digest }, async () => {
          await links.hold(digest, async () => {
            const record = await index.blob(digest)
            if (record !== undefined) {
              const blocks = await blocksOfFile(blockstore, record.cid, { signal })
              await index.change().putBlobBlocks(digest, blocks).commit({ durable: false })
            }
          })
        })
      }
      await this.#pace.rest({ signal })
    }
    return unread
  }

  /** @returns the number of those that can't be read */
  async #recordManifests(signal: AbortSignal): Promise<number> {
    const { index } = this.#components
    let unread = 0
    for await (const repository of index.repositories(everything)) {
      for await (const { digest } of index.manifests(repository)) {
        if (!(await index.hasManifestBlocks(repository, digest))) {
          unread += await this.#unlessUnreadable({ repository, digest }, async () => {
            await this.#recordManifest(repository, digest, signal)
          })
        }
        await this.#pace.rest({ signal })
      }
    }
    return unread
  }

  async #recordManifest(repository: string, digest: Digest, signal: AbortSignal): Promise<void> {
    const { blockstore, index, links } = this.#components
    await links.repositories.run(
      repository,
      async () => {
        const record = await index.manifest(repository, digest)
        if (record !== undefined) {
          const blocks = await blocksOfManifest(blockstore, record, { signal })
          await index.change().putManifestBlocks(repository, digest, blocks).commit({ durable: false })
        }
      },
      { signal },
    )
  }

  /** @returns 1 where a block was missing, damaged or refused */
  async #unlessUnreadable(what: { repository?: string; digest: Digest }, work: () => Promise<void>): Promise<0 | 1> {
    try {
      await work()
      return 0
    } catch (err) {
      if (!isUnreadable(err)) {
        throw err
      }
      this.#components.log.warn('the blocks of this could not be recorded', { ...what, err })
      return 1
    }
  }
}
