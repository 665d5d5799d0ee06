import { LRUCache } from 'lru-cache'
import type { ContentStore } from '../../ipfs/content-store.ts'
import type { HistoryIndex } from '../../index/history-index.ts'
import type { Index } from '../../index/index.ts'
import type { Digest } from '../../oci/digest.ts'
import { OciError } from '../../oci/errors.ts'
import type { Reference } from '../../oci/reference.ts'
import { translateErrors } from '../../registry/errors.ts'
import { readContent, readWhole } from '../../registry/read-content.ts'
import type { Blob, FoundManifest, Repository } from '../../registry/repository.ts'
import { WrappedRepository } from '../../registry/wrapped-repository.ts'
import { KeyedLock } from '../../scheduling/keyed-lock.ts'
import { pastState, stateAt, type PastState } from './past-state.ts'

export interface PastImagesComponents {
  content: ContentStore
  history: HistoryIndex
  index: Pick<Index, 'blob' | 'manifest' | 'tag'>
}

/** What was otherwise, with the blobs that the manifests need which were deleted since */
interface KnownState {
  past: PastState
  blobs: ReadonlySet<Digest>
  /** The last change that was seen; there is none where nothing is remembered */
  newest: string
}

/** For so long a state is remembered: a pull asks for it with each blob */
const knownTime = 60_000
/** Each may take as much memory as a repository has records of changes */
const maxKnown = 4

/** Lets images be pulled as a repository had them in an earlier state, those that were deleted since, too */
export class PastImages {
  readonly #components: PastImagesComponents
  readonly #known = new LRUCache<string, KnownState>({ max: maxKnown, ttl: knownTime })
  /** One reads the history of a repository at a time */
  readonly #reading = new KeyedLock()

  constructor(components: PastImagesComponents) {
    this.#components = components
  }

  /**
   * A repository as it was. Its questions fail with REQUEST_INVALID where that is not known, and nothing can be pushed
   * to it.
   *
   * @param at the number of a state, or a time at which it was in force
   */
  repository(now: Repository, at: number | Date): Repository {
    const state = async (): Promise<KnownState> => {
      return await translateErrors(async () => await this.#state(now.name, at))
    }
    return new PastRepository({ ...this.#components, now, state })
  }

  async #state(repository: string, at: number | Date): Promise<KnownState> {
    const { history } = this.#components
    const to = at instanceof Date ? await stateAt(history, at) : at
    const key = `${repository} ${to}`
    return await this.#reading.run(repository, async () => {
      const newest = await this.#newest(repository)
      const known = this.#known.get(key)
      if (known?.newest === newest) {
        return known
      }
      const past = await pastState(history, repository, to)
      const kept = [...past.manifests.values()].flatMap(manifest => manifest?.links ?? [])
      const found = { past, newest, blobs: new Set([...past.blobs, ...kept]) }
      this.#known.set(key, found)
      return found
    })
  }

  /** Changes with each change of the repository, and when its history is forgotten */
  async #newest(repository: string): Promise<string> {
    for await (const { record, state } of this.#components.history.changesOf(repository)) {
      return `${state} ${record.action}`
    }
    return ''
  }
}

interface PastRepositoryComponents extends PastImagesComponents {
  now: Repository
  state: () => Promise<KnownState>
}

/** What is there now is looked up first: whatever changes meanwhile is in the history, then */
class PastRepository extends WrappedRepository {
  readonly #components: PastRepositoryComponents

  constructor(components: PastRepositoryComponents) {
    super(components.now)
    this.#components = components
  }

  override async manifest(reference: Reference): Promise<FoundManifest> {
    const { content, index, state } = this.#components
    const tagged = reference.tag === undefined ? undefined : await index.tag(this.name, reference.tag)
    const { past } = await state()
    const isChanged = reference.tag !== undefined && past.tags.has(reference.tag)
    const record = isChanged ? past.tags.get(reference.tag) : tagged
    const digest = reference.digest ?? record?.digest
    const manifest = digest === undefined ? undefined : await this.#record(digest)
    if (digest === undefined || manifest === undefined) {
      throw new OciError('MANIFEST_UNKNOWN', { detail: { name: this.name, ...reference } })
    }
    const { cid, deprecated, mediaType, root, size } = manifest
    const read: FoundManifest['read'] = async options => await readWhole(content, { cid, size }, options)
    return { digest, mediaType, size, root, deprecated, read }
  }

  override async blob(digest: Digest): Promise<Blob> {
    const { content, index, state } = this.#components
    const { blobs } = await state()
    const record = blobs.has(digest) ? await index.blob(digest) : undefined
    return record === undefined
      ? await super.blob(digest)
      : { digest, ...record, source: 'disk', read: options => readContent(content, record, options) }
  }

  override requireWritable(): void {
    throw new OciError('UNSUPPORTED', { detail: { reason: 'an earlier state does not change' } })
  }

  async #record(digest: Digest): ReturnType<Index['manifest']> {
    const { index, state } = this.#components
    const now = await index.manifest(this.name, digest)
    const { past } = await state()
    return past.manifests.has(digest) ? past.manifests.get(digest)?.record : now
  }
}
