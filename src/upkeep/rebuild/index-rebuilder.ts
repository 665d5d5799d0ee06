/**
 * `upkeep/rebuild` makes the index again after it was deleted while the blocks stayed. It may import `backup`. Begin
 * here:
 *
 * - `index-rebuilder.ts`: one rebuild at a time, and whether the index is whole afterwards; `rebuild-run.ts`: the steps
 *   of one rebuild
 * - `found-images.ts`: the images among the blocks; `tag-claims.ts`: the tags that were noted outside of the index
 * - `image-rebuilder.ts`, `rebuild-work.ts`: checks one image and makes its records
 * - `manifest-upgrade.ts`: brings manifest records of older versions up to date; `block-list-upgrade.ts`: records which
 *   blocks belong to what
 *
 * The blocks tell which images there are. The CID store tells which repositories and tags they belong to, or else the
 * directory that this registry published last, as its own IPNS record says; anything else among the blocks may be a
 * stranger's. The manifests that an index lists belong to the same repository as the index, and so does a manifest that
 * names one of them as its subject. An image that no tag leads to goes into the repository `recovered`.
 *
 * Where there are access rules, a repository gets of what its manifests name only what their image roots list: a
 * manifest may name what is another tenant's. So a subject without a tag goes into `recovered`, too.
 *
 * Everything is compared with its digest before it gets into the index. The index counts as whole only if all of it was
 * right. Until then no garbage is collected, so that another rebuild can take in what was repaired meanwhile.
 */
import type { Logger } from '../../log.ts'
import { OciError } from '../../oci/errors.ts'
import type { CidStore } from '../../registry/tags/cid-store.ts'
import type { BlockListUpgrade } from './block-list-upgrade.ts'
import type { IndexCondition } from '../../registry/index-condition.ts'
import type { Publisher } from '../../registry/tags/publisher.ts'
import type { RebuildOutcome, RebuildProgress, RebuildRunComponents } from './rebuild-run.ts'

const second = 1000
/** Problems that the result lists */
const maxProblems = 1000

export interface IndexRebuilderComponents extends RebuildRunComponents {
  condition: IndexCondition
  cidStore: Pick<CidStore, 'list' | 'read' | 'refresh'>
  publisher: Pick<Publisher, 'refresh'>
  blockLists: Pick<BlockListUpgrade, 'run'>
  log: Logger
}

/** Lists of at most a thousand entries */
export interface RebuildResult extends RebuildOutcome {
  /** Whether the index counts as whole now */
  whole: boolean
  seconds: number
}

export class IndexRebuilder {
  readonly #components: IndexRebuilderComponents
  #controller = new AbortController()
  #running: Promise<RebuildResult> | undefined
  #progress: RebuildProgress | undefined

  constructor(components: IndexRebuilderComponents) {
    this.#components = components
  }

  async start(): Promise<void> {
    this.#controller = new AbortController()
  }

  /** Cuts a rebuild short; the next one does the rest */
  async stop(): Promise<void> {
    this.#controller.abort(new OciError('UNAVAILABLE', { detail: { reason: 'the server stops' } }))
    await this.#running?.catch(() => {})
  }

  /** Rebuilds the index, unless it is whole. Calls that arrive during a rebuild share its result. */
  async rebuild({
    onProgress,
  }: {
    onProgress?: ((progress: RebuildProgress) => void) | undefined
  } = {}): Promise<RebuildResult> {
    const timer = setInterval(() => {
      if (this.#progress !== undefined) {
        onProgress?.({ ...this.#progress })
      }
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

  /** Has the index count as whole as it is: the blocks that it does not know become garbage */
  async waive(): Promise<void> {
    if (this.#running !== undefined) {
      throw new OciError('UNAVAILABLE', { detail: { reason: 'the index is being rebuilt' } })
    }
    this.#components.condition.requireServing()
    await this.#complete(this.#controller.signal)
  }

  async #rebuild(signal: AbortSignal): Promise<RebuildResult> {
    const { condition, log } = this.#components
    const began = performance.now()
    condition.requireServing()
    // hardly any start is followed by a rebuild
    const { RebuildRun } = await import('./rebuild-run.ts')
    let whole = condition.isWhole
    const run = new RebuildRun(this.#components, signal)
    if (!whole) {
      this.#progress = run.progress
      await run.run()
      whole = run.outcome.problems.length === 0
      await (whole ? this.#complete(signal) : this.#components.blockLists.run(signal))
    }
    const { absent, problems, recovered, ...counts } = run.outcome
    const result = { whole, ...counts, seconds: Math.round(performance.now() - began) / second }
    log.info('index rebuilt', {
      ...result,
      recovered: recovered.length,
      absent: absent.length,
      problems: problems.length,
    })
    return { ...result, recovered, absent: absent.slice(0, maxProblems), problems: problems.slice(0, maxProblems) }
  }

  async #complete(signal: AbortSignal): Promise<void> {
    const { blockLists, cidStore, condition, publisher } = this.#components
    await condition.markWhole()
    await blockLists.run(signal)
    cidStore.refresh()
    publisher.refresh()
  }
}
