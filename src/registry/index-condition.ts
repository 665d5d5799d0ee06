import type { ConditionRecord, Index } from '../index/index.ts'
import type { Logger } from '../log.ts'
import { OciError } from '../oci/errors.ts'

export interface IndexConditionComponents {
  index: Pick<Index, 'change' | 'condition' | 'isEmpty'>
  blocks: { isEmpty: () => Promise<boolean> }
  log: Logger
}

/**
 * Knows whether the index is whole. Blocks beside an empty index mean that the index was deleted ("lost"). Until it is
 * rebuilt, no block may count as garbage, and no tag as deleted.
 */
export class IndexCondition {
  readonly #components: IndexConditionComponents
  #state: ConditionRecord['state'] = 'lost'
  #records: ConditionRecord['records']
  #owners: ConditionRecord['owners']
  /** Whether a backup is being read; nothing of it is in the index yet */
  #isReading = false

  constructor(components: IndexConditionComponents) {
    this.#components = components
  }

  get isWhole(): boolean {
    return this.#state === 'whole'
  }

  /** Whether the index may have only a part of a backup */
  get isRestoring(): boolean {
    return this.#state === 'restoring'
  }

  /** Whether records of manifests may lack descriptors, as older versions wrote them */
  get hasOldRecords(): boolean {
    return this.#records === undefined
  }

  /** Whether it is known which blocks each blob and each manifest has */
  get hasBlockLists(): boolean {
    return this.#owners !== undefined
  }

  /** To be called before anything else writes to the index or the blocks */
  async start(): Promise<void> {
    const { index, blocks, log } = this.#components
    const known = await index.condition()
    if (known === undefined) {
      const isEmpty = await index.isEmpty()
      const isLost = isEmpty && !(await blocks.isEmpty())
      this.#records = isEmpty ? 2 : undefined
      this.#owners = isEmpty && !isLost ? 1 : undefined
      await this.#put(isLost ? 'lost' : 'whole')
    } else {
      this.#state = known.state
      this.#owners = known.owners
      this.#records = known.records
    }
    if (this.#state !== 'whole') {
      log.error(`${reasons[this.#state]}; until then, no tags are published and no garbage is collected`, {
        since: known?.since,
      })
    }
  }

  async stop(): Promise<void> {}

  /** From now on, the index counts as whole */
  async markWhole(): Promise<void> {
    await this.#put('whole')
  }

  /** From now on, the records of all manifests list everything that the manifests name */
  async markRecordsUpgraded(): Promise<void> {
    this.#records = 2
    await this.#put(this.#state)
  }

  /** From now on, it is known which blocks each blob and each manifest has, unless more of an index is still to come */
  async markBlockLists(): Promise<void> {
    if (this.isWhole) {
      this.#owners = 1
      await this.#put(this.#state)
    }
  }

  /** From now on, and after a restart too, the index counts as one that has a part of a backup */
  async markRestoring(): Promise<void> {
    this.#owners = undefined
    await this.#put('restoring')
  }

  /**
   * Begins to read a backup. Until the result is disposed of, nothing is served.
   *
   * @throws OciError UNAVAILABLE where another backup is being restored
   */
  beginRestore(): Disposable {
    if (this.#isReading) {
      throw new OciError('UNAVAILABLE', { detail: { reason: 'a backup is being restored' } })
    }
    this.#isReading = true
    return {
      [Symbol.dispose]: () => {
        this.#isReading = false
      },
    }
  }

  /** @throws OciError UNAVAILABLE where the index is not whole */
  requireWhole(): void {
    if (this.#isReading) {
      this.requireServing()
    }
    if (this.#state !== 'whole') {
      throw new OciError('UNAVAILABLE', { detail: { reason: reasons[this.#state] } })
    }
  }

  /** @throws OciError UNAVAILABLE while a backup is being restored, and where the index may have only a part of one */
  requireServing(): void {
    if (this.#isReading || this.isRestoring) {
      throw new OciError('UNAVAILABLE', {
        detail: { reason: this.#isReading ? 'a backup is being restored' : reasons.restoring },
      })
    }
  }

  async #put(state: ConditionRecord['state']): Promise<void> {
    await this.#components.index
      .change()
      .putCondition({ state, since: new Date().toISOString(), records: this.#records, owners: this.#owners })
      .commit({ durable: true })
    this.#state = state
  }
}

const reasons = {
  lost: 'the index was lost: first rebuild it with "ipdr fsck --rebuild"',
  restoring: 'the restore of a backup was cut short: run "ipdr restore" again',
}
