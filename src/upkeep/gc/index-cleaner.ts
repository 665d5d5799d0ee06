import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { forEach } from '../../scheduling/for-each.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { digestKey } from '../../registry/digest-key.ts'
import { deleteManifests, eventsOfDeletion } from '../../registry/delete-manifests.ts'
import { commitTelling, type EventSink } from '../../registry/event-sink.ts'
import type { History } from '../../registry/history.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { referencesOf } from '../../registry/manifest-record.ts'
import { everything } from '../../oci/pagination.ts'
import { untaggedManifests } from './untagged-manifests.ts'

/** Deletions at a time: durable writes to the index that come together are written as one */
const concurrency = 16
const repositoriesAtOnce = 8

export interface IndexCleanerComponents {
  index: Index
  links: LinkGuard
  /** @default nobody hears of events */
  events?: Pick<EventSink, 'commit'> | undefined
  /** What can be undone; undefined: nothing ever could */
  remembered?: { history: Pick<HistoryIndex, 'keepsBlob'> } | undefined
  /** Remembers what is deleted, so that it can be undone; undefined: it can't be */
  historyWriter?: History | undefined
}

export interface IndexCleanerInit {
  /** How long a manifest is kept after it was pushed or lost its last tag; milliseconds. Undefined: for ever. */
  untagged?: number | undefined
  /** Whether manifests without a tag stay in a repository all the same; @default none do */
  isProtected?: ((repository: string) => boolean) | undefined
}

/** What was deleted from the index, or in a dry run would be */
export interface Cleaned {
  /** As `<repository>:<digest>` */
  manifests: Set<string>
  /** Those of them that can be undone, and whose content stays until then */
  remembered: Set<string>
  /** As `<repository>:<digest>` */
  links: Set<string>
  blobs: Set<Digest>
  /** Blobs that stay because a change that took them away can be undone, by {@link digestKey} */
  withheld: BlockSet
  /** The last change that can't be undone any more; 0: all can */
  forgotten: number
}

interface CleanOptions {
  dryRun: boolean
  /** Milliseconds for which a link that no manifest needs is kept, where that is less than usual */
  grace: number | undefined
  /** Manifests that are deleted already, or in a dry run would be */
  evicted?: ReadonlySet<string> | undefined
  /** Forgets changes, and returns the last one of them; called once all links are deleted that nobody needs */
  forget?: (() => Promise<number>) | undefined
  signal: AbortSignal
}

/** Deletes manifests, links and blob records that nobody needs from the index, while clients go on changing it */
export class IndexCleaner {
  readonly #components: IndexCleanerComponents
  readonly #untagged: number | undefined
  readonly #isProtected: (repository: string) => boolean

  constructor(components: IndexCleanerComponents, init: IndexCleanerInit) {
    this.#components = components
    this.#untagged = init.untagged
    this.#isProtected = init.isProtected ?? (() => false)
  }

  /** Resolves when all deletions are durable. The caller holds {@link LinkGuard.beginCollection}. */
  async clean(options: CleanOptions): Promise<Cleaned> {
    const cleaned: Cleaned = {
      manifests: new Set(options.evicted),
      remembered: new Set(),
      links: new Set(),
      blobs: new Set(),
      withheld: new BlockSet(),
      forgotten: 0,
    }
    await this.#cleanManifests(cleaned, options)
    await this.#cleanLinks(cleaned, options)
    cleaned.forgotten = (await options.forget?.()) ?? 0
    await this.#cleanBlobs(cleaned, options)
    return cleaned
  }

  async #cleanManifests(cleaned: Cleaned, { dryRun, signal }: CleanOptions): Promise<void> {
    const { events, index, links } = this.#components
    if (this.#untagged === undefined) {
      return
    }
    const before = Date.now() - this.#untagged
    for await (const repository of index.repositories(everything)) {
      if (this.#isProtected(repository)) {
        continue
      }
      await links.repositories.run(
        repository,
        async () => {
          const unneeded = await untaggedManifests(index, repository, before)
          const remembers = await this.#remembers(repository, unneeded)
          if (unneeded.size > 0 && !dryRun) {
            const deletion = await deleteManifests(index, repository, unneeded, remembers)
            const describe = () => eventsOfDeletion(repository, deletion, { reason: 'untagged' })
            await commitTelling(events, deletion.change, describe)
          }
          unneeded.forEach((_, digest) => {
            cleaned.manifests.add(`${repository}:${digest}`)
            if (remembers !== undefined) {
              cleaned.remembered.add(`${repository}:${digest}`)
            }
          })
        },
        { signal },
      )
    }
  }

  /** What is kept of another registry can be fetched again, and is not remembered */
  async #remembers(
    repository: string,
    manifests: ReadonlyMap<Digest, unknown>,
  ): Promise<Parameters<typeof deleteManifests>[3]> {
    const { historyWriter, index } = this.#components
    if (historyWriter === undefined) {
      return undefined
    }
    for (const digest of manifests.keys()) {
      if ((await index.mirrored(repository, digest)) !== undefined) {
        return undefined
      }
    }
    return { history: historyWriter, action: 'gc' }
  }

  /** Deletes links that no manifest of their repository needs */
  async #cleanLinks(cleaned: Cleaned, options: CleanOptions): Promise<void> {
    await forEach(
      this.#forgottenLinks(options),
      repositoriesAtOnce,
      options.signal,
      async ({ repository, digests }, signal) => {
        await this.#cleanLinksOf(repository, digests, cleaned, { ...options, signal })
      },
    )
  }

  /** Links on which no client relies, by repository; a manifest may still need them */
  async *#forgottenLinks({ grace }: CleanOptions): AsyncGenerator<{ repository: string; digests: Digest[] }> {
    let forgotten: { repository: string; digests: Digest[] } = { repository: '', digests: [] }
    for await (const { repository, digest, record } of this.#components.index.links()) {
      if (repository !== forgotten.repository) {
        yield forgotten
        forgotten = { repository, digests: [] }
      }
      if (this.#components.links.isForgotten(digest, record.updated, grace)) {
        forgotten.digests.push(digest)
      }
    }
    yield forgotten
  }

  async #cleanLinksOf(
    repository: string,
    digests: Digest[],
    cleaned: Cleaned,
    { dryRun, grace, signal }: CleanOptions,
  ): Promise<void> {
    signal.throwIfAborted()
    const { index, links } = this.#components
    if (digests.length === 0) {
      return
    }
    // under this lock, no manifest is put into the repository
    await links.repositories.run(
      repository,
      async () => {
        const needed = await this.#blobsOf(repository, manifest => dryRun && cleaned.manifests.has(manifest))
        await forEach(
          digests.filter(digest => !needed.has(digest)),
          concurrency,
          signal,
          async digest => {
            const isDeleted =
              dryRun ||
              (await links.removeLink(
                repository,
                digest,
                async () => await index.link(repository, digest),
                async () => {
                  await index.change().deleteLink(repository, digest).commit({ durable: true })
                },
                grace,
              ))
            if (isDeleted) {
              cleaned.links.add(`${repository}:${digest}`)
            }
          },
        )
      },
      { signal },
    )
  }

  async #blobsOf(repository: string, isLeftOut: (manifest: string) => boolean): Promise<Set<Digest>> {
    const blobs = new Set<Digest>()
    for await (const { digest, record } of this.#components.index.manifests(repository)) {
      if (!isLeftOut(`${repository}:${digest}`)) {
        referencesOf(record).forEach(blob => {
          blobs.add(blob)
        })
      }
    }
    return blobs
  }

  /** Deletes the records of blobs that no repository links */
  async #cleanBlobs(cleaned: Cleaned, { dryRun, signal }: CleanOptions): Promise<void> {
    const { index, links, remembered } = this.#components
    const named = dryRun ? await this.#namedBy(cleaned.remembered) : undefined
    const linked = new BlockSet()
    for await (const { repository, digest } of index.links()) {
      if (!dryRun || !cleaned.links.has(`${repository}:${digest}`)) {
        linked.add(digestKey(digest))
      }
    }
    signal.throwIfAborted()
    const unlinked: Digest[] = []
    for await (const { digest } of index.blobs()) {
      if (!linked.has(digestKey(digest))) {
        unlinked.push(digest)
      }
    }
    await forEach(unlinked, concurrency, signal, async digest => {
      if (
        named?.has(digestKey(digest)) === true ||
        (await remembered?.history.keepsBlob(digest, cleaned.forgotten)) === true
      ) {
        cleaned.withheld.add(digestKey(digest))
        return
      }
      if (
        dryRun ||
        (await links.removeBlob(digest, async () => {
          await index.change().deleteBlob(digest).commit({ durable: true })
        }))
      ) {
        cleaned.blobs.add(digest)
      }
    })
  }

  /** What manifests name that a dry run leaves in the index; as `<repository>:<digest>` */
  async #namedBy(manifests: ReadonlySet<string>): Promise<BlockSet> {
    const named = new BlockSet()
    for (const manifest of manifests) {
      const colon = manifest.indexOf(':')
      const record = await this.#components.index.manifest(
        manifest.slice(0, colon),
        manifest.slice(colon + 1) as Digest,
      )
      for (const digest of record === undefined ? [] : referencesOf(record)) {
        named.add(digestKey(digest))
      }
    }
    return named
  }
}
