import { BlockSet } from '../../ipfs/blocks/block-set.ts'
import { forEach } from '../../scheduling/for-each.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { digestKey } from '../../registry/digest-key.ts'
import { deleteManifests } from '../../registry/delete-manifests.ts'
import type { LinkGuard } from '../../registry/link-guard.ts'
import { referencesOf } from '../../registry/manifest-record.ts'
import { everything } from '../../oci/pagination.ts'
import { untaggedManifests } from './untagged-manifests.ts'

/** Durable writes of the index that come together are one */
const concurrency = 16
const repositoriesAtOnce = 8

export interface IndexCleanerComponents {
  index: Index
  links: LinkGuard
}

export interface IndexCleanerInit {
  /** Manifests without a tag are deleted so long after they were pushed or lost their last tag; milliseconds. Undefined: never. */
  untagged?: number | undefined
}

/** What was deleted from the index, or in a dry run is to be */
export interface Cleaned {
  /** `<repository>:<digest>` */
  manifests: Set<string>
  links: Set<string>
  blobs: Set<Digest>
}

interface CleanOptions {
  dryRun: boolean
  /** Links so old go, where that is less than usual; milliseconds */
  grace: number | undefined
  signal: AbortSignal
}

/** Deletes what nobody needs from the index, while others change it */
export class IndexCleaner {
  readonly #components: IndexCleanerComponents
  readonly #untagged: number | undefined

  constructor(components: IndexCleanerComponents, init: IndexCleanerInit) {
    this.#components = components
    this.#untagged = init.untagged
  }

  /** When it returns, all that it deleted is off the disk for good. The caller holds a collection of the link guard. */
  async clean(options: CleanOptions): Promise<Cleaned> {
    const cleaned: Cleaned = { manifests: new Set(), links: new Set(), blobs: new Set() }
    await this.#cleanManifests(cleaned, options)
    await this.#cleanLinks(cleaned, options)
    await this.#cleanBlobs(cleaned, options)
    return cleaned
  }

  async #cleanManifests(cleaned: Cleaned, { dryRun, signal }: CleanOptions): Promise<void> {
    const { index, links } = this.#components
    if (this.#untagged === undefined) {
      return
    }
    const before = Date.now() - this.#untagged
    for await (const repository of index.repositories(everything)) {
      await links.repositories.run(
        repository,
        async () => {
          const unneeded = await untaggedManifests(index, repository, before)
          if (unneeded.size > 0 && !dryRun) {
            await (await deleteManifests(index, repository, unneeded)).change.commit({ durable: true })
          }
          unneeded.forEach((_, digest) => {
            cleaned.manifests.add(`${repository}:${digest}`)
          })
        },
        { signal },
      )
    }
  }

  /** Links that no manifest of their repository needs */
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

  /** Links that may go if no manifest needs them, by repository */
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
    // no manifest of the repository comes while this lasts
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

  /** Blobs that no repository has */
  async #cleanBlobs(cleaned: Cleaned, { dryRun, signal }: CleanOptions): Promise<void> {
    const { index, links } = this.#components
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
        dryRun ||
        (await links.removeBlob(digest, async () => {
          await index.change().deleteBlob(digest).commit({ durable: true })
        }))
      ) {
        cleaned.blobs.add(digest)
      }
    })
  }
}
