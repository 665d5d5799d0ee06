import { LRUCache } from 'lru-cache'
import type { Index, ManifestRecord } from '../../../index/index.ts'
import type { Logger } from '../../../log.ts'
import type { Digest } from '../../../oci/digest.ts'
import { parseStoredManifest } from '../../../oci/manifest/manifest.ts'
import { Uses } from '../../../scheduling/uses.ts'
import { referencesOf } from '../../manifest-record.ts'
import type { Repository } from '../../repository.ts'
import type { RootProvider } from '../../root-provider.ts'

/** Milliseconds between two saves of the time when a manifest was last used */
const saveInterval = 10 * 60_000
/** Manifests whose last save is remembered, and blobs whose size is */
const maxRemembered = 10_000

export interface MirroredManifestsComponents {
  index: Pick<Index, 'change' | 'isLinked' | 'manifest' | 'manifests'>
  /** The repository of this registry that keeps what is mirrored under this name */
  local: (repository: string) => Repository
  /** Provides an image root once all of it is here */
  provider?: RootProvider | undefined
  log: Logger
}

/** The manifests of other registries that are kept here */
export class MirroredManifests {
  readonly #components: MirroredManifestsComponents
  /** Those whose use was saved lately */
  readonly #saved = new LRUCache<string, true>({ max: maxRemembered, ttl: saveInterval })
  /** Repositories of which blobs are being read */
  readonly #readers = new Uses()
  /** Bytes of blobs that manifests name, by `<repository>:<digest>` */
  readonly #sizes = new LRUCache<string, number>({ max: maxRemembered })
  /** Blobs that have come and whose manifests are to be completed, by repository */
  readonly #waiting = new Map<string, Set<Digest>>()
  #completing: Promise<void> = Promise.resolve()

  constructor(components: MirroredManifestsComponents) {
    this.#components = components
  }

  /** Resolves when no manifest is being completed */
  async stop(): Promise<void> {
    await this.#completing
  }

  /** To be called when a client gets a manifest */
  async used(repository: string, digest: Digest): Promise<void> {
    const key = `${repository}:${digest}`
    if (this.#saved.has(key)) {
      return
    }
    this.#saved.set(key, true)
    try {
      const record = { used: new Date().toISOString() }
      await this.#components.index.change().putMirrored(repository, digest, record).commit({ durable: false })
    } catch (err) {
      // the pull itself does not need it
      this.#saved.delete(key)
      this.#components.log.warn('last use of a mirrored image not saved', { repository, digest, err })
    }
  }

  /** A client reads a blob: until the result is disposed of, nothing of the repository is evicted */
  read(repository: string): Disposable {
    return this.#readers.begin(repository)
  }

  /** Whether a client reads a blob of the repository now */
  isRead(repository: string): boolean {
    return this.#readers.has(repository)
  }

  /** To be called when a manifest is no longer kept */
  evicted(repository: string, digest: Digest): void {
    this.#saved.delete(`${repository}:${digest}`)
  }

  /** Remembers the sizes of the blobs that a manifest names */
  note(repository: string, bytes: Uint8Array, mediaType: string): void {
    const { blobs, others } = parseStoredManifest(bytes, mediaType)
    for (const { digest, size } of [...blobs, ...others]) {
      this.#sizes.set(`${repository}:${digest}`, size)
    }
  }

  /** @returns bytes of a blob, as a manifest of the repository has it; undefined where none names it */
  async sizeOf(repository: string, blob: Digest): Promise<number | undefined> {
    const key = `${repository}:${blob}`
    const known = this.#sizes.get(key)
    if (known !== undefined) {
      return known
    }
    for await (const { digest, record } of this.#components.index.manifests(repository)) {
      if (record.blobs.includes(blob)) {
        const manifest = await this.#components.local(repository).manifest({ digest })
        this.note(repository, await manifest.read(), manifest.mediaType)
        return this.#sizes.get(key)
      }
    }
    return undefined
  }

  /**
   * To be called when a blob is whole. Image roots of manifests whose last blob it was are made again, in the
   * background: they are the same as those of a push then.
   */
  completed(blob: Digest, repositories: readonly string[]): void {
    for (const repository of repositories) {
      const waiting = this.#waiting.get(repository)
      if (waiting === undefined) {
        this.#waiting.set(repository, new Set([blob]))
        this.#completing = this.#completing.then(async () => {
          await this.#completeAll(repository)
        })
      } else {
        waiting.add(blob)
      }
    }
  }

  async #completeAll(repository: string): Promise<void> {
    const blobs = this.#waiting.get(repository) ?? new Set()
    this.#waiting.delete(repository)
    try {
      const whole = new Set<Digest>()
      for (const [digest, record] of await this.#naming(repository, blobs)) {
        if (await this.#hasAll(repository, record)) {
          await this.#storeAgain(repository, digest, record)
          whole.add(digest)
        }
      }
      for (const [digest, record] of await this.#naming(repository, whole)) {
        await this.#storeAgain(repository, digest, record)
      }
    } catch (err) {
      this.#components.log.warn('the image of a mirrored manifest was not completed', { repository, err })
    }
  }

  /** The manifests that name one of these digests */
  async #naming(repository: string, digests: ReadonlySet<Digest>): Promise<Map<Digest, ManifestRecord>> {
    const found = new Map<Digest, ManifestRecord>()
    if (digests.size > 0) {
      for await (const { digest, record } of this.#components.index.manifests(repository)) {
        if (referencesOf(record).some(other => digests.has(other))) {
          found.set(digest, record)
        }
      }
    }
    return found
  }

  async #hasAll(repository: string, { blobs }: ManifestRecord): Promise<boolean> {
    for (const blob of blobs) {
      if (!(await this.#components.index.isLinked(repository, blob))) {
        return false
      }
    }
    return true
  }

  async #storeAgain(repository: string, digest: Digest, { mediaType }: ManifestRecord): Promise<void> {
    const local = this.#components.local(repository)
    const bytes = await (await local.manifest({ digest })).read()
    const { manifest } = await local.putManifest({ reference: { digest }, bytes, contentType: mediaType, tags: [] })
    if (manifest.root !== undefined) {
      this.#components.provider?.provide(manifest.root)
    }
  }
}
