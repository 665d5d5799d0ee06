import type { DurableBlockstore } from '../../ipfs/blockstore/blockstore.ts'
import type { ContentStore } from '../../ipfs/content-store.ts'
import { Pace } from '../../scheduling/pace.ts'
import type { Index, ManifestRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseStoredManifest } from '../../oci/manifest/manifest.ts'
import { blocksOfManifest } from '../../registry/image/image-blocks.ts'
import { addImageRoot } from '../../registry/image/image-root.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { manifestRecord } from '../../registry/manifest-record.ts'
import { readWhole } from '../../registry/read-content.ts'
import type { TagListener } from '../../registry/tags/tag-listener.ts'
import { tagsOf } from '../../registry/tags/tag-roots.ts'
import { everything } from '../../oci/pagination.ts'

export interface ManifestUpgradeComponents {
  blockstore: Pick<DurableBlockstore, 'read'>
  condition: Pick<IndexCondition, 'hasOldRecords' | 'markRecordsUpgraded'>
  content: Pick<ContentStore, 'add' | 'addDirectory' | 'read' | 'sync'>
  index: Index
  links: Pick<LinkGuard, 'repositories'>
  tagListener?: TagListener | undefined
  log: Logger
}

/**
 * Brings records of manifests up to date that older versions wrote. These knew descriptors of a few media types only,
 * so the blobs of a build cache would count as garbage. It has to run before anything relies on the records. It reads
 * every manifest, but only once in the life of an index.
 */
export class ManifestUpgrade {
  readonly #components: ManifestUpgradeComponents
  readonly #pace = new Pace()

  constructor(components: ManifestUpgradeComponents) {
    this.#components = components
  }

  /** A manifest that can't be read keeps its record, and the next run tries all of them again */
  async run(signal: AbortSignal): Promise<void> {
    const { condition, index, links, log } = this.#components
    if (!condition.hasOldRecords) {
      return
    }
    let unread = 0
    for await (const repository of index.repositories(everything)) {
      for await (const { digest } of index.manifests(repository)) {
        await links.repositories.run(
          repository,
          async () => {
            try {
              await this.#upgrade(repository, digest, signal)
            } catch (err) {
              signal.throwIfAborted()
              unread++
              log.warn('record of a manifest could not be brought up to date', { repository, digest, err })
            }
          },
          { signal },
        )
        await this.#pace.rest({ signal })
      }
    }
    if (unread === 0) {
      await condition.markRecordsUpgraded()
    }
  }

  async #upgrade(repository: string, digest: Digest, signal: AbortSignal): Promise<void> {
    const { blockstore, content, index, log } = this.#components
    const record = await index.manifest(repository, digest)
    if (record === undefined) {
      return
    }
    const { blobs, manifests } = manifestRecord(
      parseStoredManifest(await readWhole(content, record, { signal }), record.mediaType),
      record,
    )
    if (blobs.join() === record.blobs.join() && manifests.join() === record.manifests.join()) {
      return
    }
    const upgraded: ManifestRecord = { ...record, blobs, manifests }
    upgraded.root = await addImageRoot(this.#components, repository, { digest, ...upgraded })
    await content.sync()
    const blocks = await blocksOfManifest(blockstore, upgraded, { signal })
    await index
      .change()
      .putManifest(repository, digest, upgraded)
      .putManifestBlocks(repository, digest, blocks)
      .commit({ durable: true })
    log.info('record of a manifest brought up to date', { repository, digest, cid: upgraded.root })
    for (const tag of await tagsOf(index, repository, digest)) {
      this.#components.tagListener?.tagged(repository, tag)
    }
  }
}
