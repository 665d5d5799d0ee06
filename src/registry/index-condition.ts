import type { ConditionRecord, Index } from '../index/index.ts'
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
  #state: ConditionRecord['state'] = 'lost'
  #records: ConditionRecord['records']
  /** A backup is read, of which the index has nothing yet */
  #isReading = false

  constructor(components: IndexConditionComponents) {
    this.#components = components
  }

  get isWhole(): boolean {
    return this.#state === 'whole'
  }

  /** Whether it has, or may have, a part of a backup */
  get isRestoring(): boolean {
    return this.#state === 'restoring'
  }

  /** Whether records of manifests may lack some of what these name */
  get hasOldRecords(): boolean {
    return this.#records === undefined
  }

  /** To be called before anything else writes to the index or the blocks */
  async start(): Promise<void> {
    const { index, blocks, log } = this.#components
    const known = await index.condition()
    if (known === undefined) {
      const isEmpty = await index.isEmpty()
      this.#records = isEmpty ? 2 : undefined
      await this.#put(isEmpty && !(await blocks.isEmpty()) ? 'lost' : 'whole')
    } else {
      this.#state = known.state
      this.#records = known.records
    }
    if (this.#state !== 'whole') {
      log.error(`${reasons[this.#state]}; until then nothing is published or collected as garbage`, {
        since: known?.since,
      })
    }
  }

  async stop(): Promise<void> {}

  /** From now on the index counts as complete */
  async markWhole(): Promise<void> {
    await this.#put('whole')
  }

  /** From now on the records of all manifests have what these name */
  async markRecordsUpgraded(): Promise<void> {
    this.#records = 2
    await this.#put(this.#state)
  }

  /** From now on, restarts included, the index has a part of a backup */
  async markRestoring(): Promise<void> {
    await this.#put('restoring')
  }

  /**
   * Until it is disposed of, nothing is served
   *
   * @throws OciError UNAVAILABLE where it is done already
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

  /** @throws OciError UNAVAILABLE where the index does not know all that it should */
  requireWhole(): void {
    if (this.#isReading) {
      this.requireServing()
    }
    if (this.#state !== 'whole') {
      throw new OciError('UNAVAILABLE', { detail: { reason: reasons[this.#state] } })
    }
  }

  /** @throws OciError UNAVAILABLE where the index may have a part of a backup */
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
      .putCondition({ state, since: new Date().toISOString(), records: this.#records })
      .commit({ durable: true })
    this.#state = state
  }
}

const reasons = {
  lost: 'the index was lost: first rebuild it with "ipdr fsck --rebuild"',
  restoring: 'a backup was not restored to its end: run "ipdr restore" again',
}
