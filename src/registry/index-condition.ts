import type { Index } from '../index/index.ts'
import type { Logger } from '../log.ts'
import { OciError } from '../oci/errors.ts'

export interface IndexConditionComponents {
  index: Pick<Index, 'change' | 'condition' | 'isEmpty'>
  blocks: { isEmpty: () => Promise<boolean> }
  log: Logger
}

/**
 * Whether the index knows all that it should. Blocks without an index are those of an index that was deleted: until it is rebuilt, nothing may
 * count as garbage, nor as a tag that is gone.
 */
export class IndexCondition {
  readonly #components: IndexConditionComponents
  #isWhole = false

  constructor (components: IndexConditionComponents) {
    this.#components = components
  }

  get isWhole (): boolean {
    return this.#isWhole
  }

  /** To be called before anything else writes to the index or the blocks */
  async start (): Promise<void> {
    const { index, blocks, log } = this.#components
    const known = await index.condition()
    if (known === undefined) {
      await this.#put(await index.isEmpty() && !await blocks.isEmpty() ? 'lost' : 'whole')
    } else {
      this.#isWhole = known.state === 'whole'
    }
    if (!this.#isWhole) {
      log.error('the index was lost, but not the blocks: nothing is published or collected as garbage until "ipdr fsck --rebuild" has restored it', { since: known?.since })
    }
  }

  async stop (): Promise<void> {}

  /** From now on the index counts as complete */
  async restored (): Promise<void> {
    await this.#put('whole')
  }

  /** @throws OciError UNAVAILABLE where the index was lost */
  requireWhole (): void {
    if (!this.#isWhole) {
      throw new OciError('UNAVAILABLE', { detail: { reason: 'the index was lost: first restore it with "ipdr fsck --rebuild"' } })
    }
  }

  async #put (state: 'whole' | 'lost'): Promise<void> {
    await this.#components.index.change().putCondition({ state, since: new Date().toISOString() }).commit({ durable: true })
    this.#isWhole = state === 'whole'
  }
}
