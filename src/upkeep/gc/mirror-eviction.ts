import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import type { Index, ManifestRecord } from '../../index/index.ts'
import type { Logger } from '../../log.ts'
import type { Digest } from '../../oci/digest.ts'
import { everything } from '../../oci/pagination.ts'
import { deleteManifests } from '../../registry/delete-manifests.ts'
import { digestKey } from '../../registry/digest-key.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { referencesOf } from '../../registry/manifest-record.ts'
import type { Mirroring } from '../../registry/mirror/mirroring.ts'

export interface MirrorEvictionComponents {
  index: Index
  links: LinkGuard
  mirroring: Pick<Mirroring, 'manifests' | 'mirrors'>
  log: Logger
}

export interface MirrorEvictionInit {
  /** Bytes that images of other registries may take, with those of other nodes */
  cacheBytes: number
}

export interface EvictMirroredOptions {
  signal: AbortSignal
  /** Whether to only tell what would be evicted */
  dryRun: boolean
  /** Bytes that have to become free, even where all are within their limit */
  room: number
}

export interface EvictedMirrored {
  /** As `<repository>:<digest>` */
  manifests: Set<string>
  /** Bytes that became free, and that stay */
  freed: number
  kept: number
}

interface Item {
  repository: string
  digest: Digest
  record: ManifestRecord
  /** Milliseconds since the epoch */
  used: number
}

/**
 * Evicts images of other registries from the index, the least recently used first, until the rest has room. What a
 * repository that is pushed to needs too takes no room of theirs, and stays.
 */
export class MirrorEviction {
  readonly #components: MirrorEvictionComponents
  readonly #cacheBytes: number

  constructor(components: MirrorEvictionComponents, { cacheBytes }: MirrorEvictionInit) {
    this.#components = components
    this.#cacheBytes = cacheBytes
  }

  async evict({ dryRun, room, signal }: EvictMirroredOptions): Promise<EvictedMirrored> {
    const items = await this.#items(signal)
    const counted = await this.#pushed(items.length > 0)
    const all = new Map<Item, number>()
    let total = 0
    for (const item of items) {
      signal.throwIfAborted()
      const bytes = await this.#bytesOf(item, counted)
      all.set(item, bytes)
      total += bytes
    }
    const limit = room === 0 ? this.#cacheBytes : Math.min(this.#cacheBytes, Math.max(0, total - room))
    const evicted: Item[] = []
    let kept = 0
    for (const [item, bytes] of all) {
      if (kept + bytes > limit && !this.#components.mirroring.manifests.isRead(item.repository)) {
        evicted.push(item)
      } else {
        kept += bytes
      }
    }
    if (!dryRun) {
      await this.#delete(evicted, signal)
    }
    return {
      manifests: new Set(evicted.map(({ repository, digest }) => `${repository}:${digest}`)),
      freed: total - kept,
      kept,
    }
  }

  /** The manifests of other registries, the most recently used first */
  async #items(signal: AbortSignal): Promise<Item[]> {
    const { index, mirroring } = this.#components
    const items: Item[] = []
    for await (const repository of index.repositories(everything)) {
      if (mirroring.mirrors.find(repository) !== undefined) {
        for await (const { digest, record } of index.manifests(repository)) {
          signal.throwIfAborted()
          const used = (await index.mirrored(repository, digest))?.used ?? record.updated ?? ''
          items.push({ repository, digest, record, used: Date.parse(used) || 0 })
        }
      }
    }
    return items.sort((a, b) => b.used - a.used)
  }

  /** Blobs that repositories link which are pushed to */
  async #pushed(isNeeded: boolean): Promise<BlockSet> {
    const { index, mirroring } = this.#components
    const pushed = new BlockSet()
    if (isNeeded) {
      for await (const { repository, digest } of index.links()) {
        if (mirroring.mirrors.find(repository) === undefined) {
          pushed.add(digestKey(digest))
        }
      }
    }
    return pushed
  }

  /** Bytes of what no manifest before it has */
  async #bytesOf({ repository, record }: Item, counted: BlockSet): Promise<number> {
    const { index } = this.#components
    let bytes = record.dagSize
    for (const blob of referencesOf(record)) {
      if ((await index.isLinked(repository, blob)) && counted.add(digestKey(blob))) {
        bytes += (await index.blob(blob))?.dagSize ?? 0
      }
    }
    return bytes
  }

  async #delete(items: readonly Item[], signal: AbortSignal): Promise<void> {
    const { index, links, log, mirroring } = this.#components
    for (const [repository, evicted] of Map.groupBy(items, item => item.repository)) {
      await links.repositories.run(
        repository,
        async () => {
          const manifests = new Map(evicted.map(({ digest, record }) => [digest, record]))
          const { change, tags } = await deleteManifests(index, repository, manifests)
          for (const tag of tags.keys()) {
            change.deleteMirroredTag(repository, tag)
          }
          for (const { digest } of evicted) {
            change.deleteMirrored(repository, digest)
            mirroring.manifests.evicted(repository, digest)
          }
          await change.commit({ durable: true })
          await this.#deleteLinks(repository, evicted)
        },
        { signal },
      )
      log.info('images of another registry evicted', { repository, manifests: evicted.length })
    }
  }

  /** Of the blobs that no other manifest of the repository needs; whoever asks for one later has it fetched again */
  async #deleteLinks(repository: string, evicted: readonly Item[]): Promise<void> {
    const { index, links } = this.#components
    const needed = new Set<Digest>()
    for await (const { record } of index.manifests(repository)) {
      for (const digest of referencesOf(record)) {
        needed.add(digest)
      }
    }
    for (const digest of new Set(evicted.flatMap(({ record }) => referencesOf(record)))) {
      if (!needed.has(digest)) {
        await links.hold(digest, async () => {
          await index.change().deleteLink(repository, digest).commit({ durable: true })
        })
      }
    }
  }
}
